"""The design of an experiment as its networks show it: axes, configurations, groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from multirun_analysis.runs.params import LINEARIZE, WIDTH, is_seed, varied

# Within a group the architecture and the optimizer may move; data, noise, loss and all else stay fixed. So does what
# makes a network another kind of function.
WITHIN_PREFIXES = ("model.", "optimizer.")
KINDS = ("model.name", LINEARIZE)
GROUP_FIRST = ("dataset.name", "dataset.train_size", "noise.name", "noise.level", "loss.name", *KINDS)
WITHIN_FIRST = (WIDTH, "model.depth")


@dataclass(frozen=True)
class Design:
    """group_axes and within_axes partition the axes; aliases maps an axis that moves with another to that one."""

    group_axes: tuple[str, ...]
    within_axes: tuple[str, ...]
    aliases: dict[str, str]

    @property
    def axes(self) -> tuple[str, ...]:
        return self.group_axes + self.within_axes

    def others(self, *but: str) -> list[str]:
        """The axes without some."""
        return [axis for axis in self.axes if axis not in but]


def find_design(frame: pd.DataFrame, params: Sequence[str], group_axes: Sequence[str] | None = None) -> Design:
    """An axis is any param that varies, seeds excepted. Of axes that move one to one only the first is kept.

    group_axes: those that comparisons hold fixed; None: is_group_axis says.
    """

    def grouped(axis: str) -> bool:
        return is_group_axis(axis) if group_axes is None else axis in group_axes

    axes = varied(frame, params)
    group = [axis for axis in axes if grouped(axis)]
    ordered = sorted(group, key=_rank(GROUP_FIRST)) + sorted(set(axes) - set(group), key=_rank(WITHIN_FIRST))
    seen: dict[tuple[int, ...], str] = {}
    aliases = {}
    for axis in ordered:
        first = seen.setdefault(tuple(codes(frame, [axis]).tolist()), axis)
        if first != axis:
            aliases[axis] = first
    kept = [axis for axis in ordered if axis not in aliases]
    return Design(
        tuple(axis for axis in kept if grouped(axis)),
        tuple(axis for axis in kept if not grouped(axis)),
        aliases,
    )


def find_seeds(frame: pd.DataFrame, params: Sequence[str]) -> list[str]:
    """The seeds that tell networks of one configuration apart.

    Where several vary and not together (three seeds of the data times four of the initialization), networks that share
    one of them are no replicates of each other: then only the one with the fewest levels.
    """
    found = {name: int(frame[name].nunique(dropna=False)) for name in params if is_seed(name)}
    levels = {name: number for name, number in found.items() if number > 1}
    if not levels or len(frame[[*levels]].drop_duplicates()) <= max(levels.values()):
        return list(levels)
    return [min(levels, key=lambda name: levels[name])]


def is_group_axis(axis: str) -> bool:
    """Whether comparisons within groups hold this axis fixed."""
    return axis in KINDS or not axis.startswith(WITHIN_PREFIXES)


def codes(frame: pd.DataFrame, axes: Sequence[str]) -> np.ndarray:
    """[rows] integers that number the combinations of the axes' values in order of appearance."""
    if not axes:
        return np.zeros(len(frame), dtype=np.int64)
    return frame.groupby(list(axes), dropna=False, sort=False).ngroup().to_numpy()


def indicators(code: np.ndarray) -> np.ndarray:
    """[rows, levels - 1] a column for each level but the first; code [rows]: their numbers."""
    return (code[:, None] == np.arange(1, code.max(initial=0) + 1)).astype(float)


def _rank(first: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    return lambda axis: (first.index(axis) if axis in first else len(first), axis)
