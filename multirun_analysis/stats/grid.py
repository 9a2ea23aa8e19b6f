"""What all statistics of a frame start from: its design, which network is which configuration, and means over seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from multirun_analysis.runs.params import WIDTH
from multirun_analysis.stats.design import Design, codes, indicators

LOG_AXES = (WIDTH, "dataset.train_size", "optimizer.lr", "optimizer.batch_size", "model.init_scale")
SEEDS = "n_seeds"


@dataclass(frozen=True, eq=False)
class Grid:
    """networks: a row a network. code [networks]: its configuration, numbered in order of appearance.

    one: the axes, a row a configuration.
    """

    design: Design
    networks: pd.DataFrame
    code: np.ndarray
    one: pd.DataFrame
    _codes: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, networks: pd.DataFrame, design: Design) -> Grid:
        """networks: the axes at least."""
        code = codes(networks, design.axes)
        first = np.unique(code, return_index=True)[1]
        return cls(design, networks, code, networks[list(design.axes)].iloc[first].reset_index(drop=True))

    def __len__(self) -> int:
        """How many configurations."""
        return len(self.one)

    def where(self, use: np.ndarray) -> Grid:
        """Of some networks [networks] alone."""
        return Grid.of(self.networks[use], self.design)

    def means(self, values: np.ndarray) -> np.ndarray:
        """[configurations, columns] means over seeds of values [networks, columns]; NaN left out, infinity kept."""
        columns, number = [], len(self)
        for column in values.T:
            defined = ~np.isnan(column)
            present = np.bincount(self.code[defined], minlength=number)
            total = np.bincount(self.code[defined], weights=column[defined], minlength=number)
            columns.append(np.where(present > 0, total / np.maximum(present, 1), np.nan))
        return np.column_stack(columns) if columns else np.empty((number, 0))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """[configurations] of values [networks]."""
        return self.means(values[:, None])[:, 0]

    def by(self, *axes: str) -> np.ndarray:
        """[configurations] numbers of the combinations of some axes."""
        if axes not in self._codes:
            self._codes[axes] = codes(self.one, axes)
        return self._codes[axes]

    @property
    def groups(self) -> np.ndarray:
        """[configurations] the group that comparisons hold fixed."""
        return self.by(*self.design.group_axes)

    def but(self, axis: str) -> np.ndarray:
        """[configurations] numbers of the combinations of all other axes."""
        return self.by(*self.design.others(axis))

    @cached_property
    def hyperparameters(self) -> tuple[np.ndarray, list[str]]:
        """[configurations, columns] regressors made of the axes, and their names: log, linear, or a column a level."""
        columns: list[np.ndarray] = []
        labels: list[str] = []
        for axis in self.design.axes:
            values = self.one[axis]
            if (numbers := score(values, axis)) is not None:
                columns.append(numbers)
                labels.append(f"log {axis}" if _as_log(values, axis) else axis)
                continue
            code, levels = pd.factorize(values, use_na_sentinel=False)
            columns += list(indicators(code).T)
            labels += [f"{axis}={level}" for level in levels[1:]]
        return np.column_stack(columns) if columns else np.empty((len(self), 0)), labels


def score(values: pd.Series, axis: str) -> np.ndarray | None:
    """An axis' values as numbers, or as their logarithm; None where they are none."""
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        return None
    numbers = values.to_numpy(dtype=float)
    return np.log(numbers) if _as_log(values, axis) else numbers


def _as_log(values: pd.Series, axis: str) -> bool:
    return axis in LOG_AXES and bool((values > 0).all())


def configurations(frame: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row a configuration: the axes, the mean of every numeric column over its seeds, `n_seeds`."""
    numeric = [c for c in frame.columns if c not in design.axes and pd.api.types.is_float_dtype(frame[c])]
    code = codes(frame, design.axes)
    means = frame[numeric].groupby(code, sort=True).mean()
    first = frame[list(design.axes)].groupby(code, sort=True).nth(0).reset_index(drop=True)
    sizes = pd.Series(np.bincount(code), name=SEEDS)
    return pd.concat([first, means.reset_index(drop=True), sizes], axis=1)
