"""The effect of an axis seed by seed: what seeds share across the axis' levels cancels. Estimand (a), this grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.stats.design import Design, codes
from multirun_analysis.stats.prestated import ENDS, LOG_LINEAR, LOG_LOG

SLOPE = "slope on log axis"
LOGS = (LOG_LOG, LOG_LINEAR)  # kinds on the logarithm of the quantity


@dataclass(frozen=True)
class SeedEffects:
    """One cell. effects [seeds]: the effect within each complete seed; incomplete: seeds that lack a level."""

    cell: dict[str, Any]
    effects: np.ndarray
    seeds: pd.Index  # number of the combination of seed params, the same in every cell
    levels: np.ndarray
    incomplete: int
    row: int  # of the frame: one of the cell's networks


def seed_effects(
    frame: pd.DataFrame, design: Design, axis: str, quantity: str, seed_columns: Sequence[str], kind: str
) -> list[SeedEffects]:
    """One result for each cell, the combinations of all other axes, where a seed has every level and there are two.

    kind: `exponent` (log on log), `log slope` (log on the axis), `slope on log axis`, `difference of ends` (largest
    level less smallest). Rows where a logarithm is undefined are left out, and the seed is then incomplete.
    """
    place = np.flatnonzero(_usable(frame, axis, quantity, kind))
    rows, seed, cells = frame.iloc[place], codes(frame, seed_columns)[place], design.others(axis)
    if not len(rows):
        return []
    value = rows[quantity].to_numpy(dtype=float)
    lines, first, table, levels = _by_seed(rows, cells, seed, axis, np.log(value) if kind in LOGS else value)
    found = []
    for line in lines:
        present = ~np.isnan(table[line]).all(axis=0)
        own = table[line][:, present]
        complete = ~np.isnan(own).any(axis=1)
        if present.sum() > 1 and complete.any():
            effects = own[complete] @ _contrast(levels[present], kind)
            seeds = pd.Index(seed[first[line][complete]])
            found.append((int(first[line].min()), effects, seeds, levels[present], int((~complete).sum())))
    chosen = rows[cells].iloc[[item[0] for item in found]]
    named = list(chosen.itertuples(index=False, name=None)) if cells else [()] * len(found)
    return [
        SeedEffects(dict(zip(cells, cell, strict=True)), *item[1:], int(place[item[0]]))
        for cell, item in zip(named, found, strict=True)
    ]


def _usable(frame: pd.DataFrame, axis: str, quantity: str, kind: str) -> np.ndarray:
    use = np.isfinite(frame[quantity].to_numpy(dtype=float)) & frame[axis].notna().to_numpy()
    if kind in LOGS:
        use &= frame[quantity].to_numpy(dtype=float) > 0
    if kind in (LOG_LOG, SLOPE):
        use &= frame[axis].to_numpy(dtype=float) > 0
    return np.asarray(use)


def _by_seed(
    rows: pd.DataFrame, cells: Sequence[str], seed: np.ndarray, axis: str, value: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """A table [lines, levels] of mean values, one line a seed of a cell, NaN where there is none.

    Returns each cell's lines, in order of the cells' values; the first row of each line; the table; the levels.
    """
    cell = rows.groupby(list(cells), dropna=False, sort=True).ngroup().to_numpy() if cells else np.zeros_like(seed)
    levels, level = np.unique(rows[axis].to_numpy(dtype=float), return_inverse=True)
    both, first, line = np.unique(cell * (seed.max() + 1) + seed, return_index=True, return_inverse=True)
    place, size = line * len(levels) + level, len(both) * len(levels)
    counts = np.bincount(place, minlength=size)
    means = np.bincount(place, weights=value, minlength=size) / np.where(counts > 0, counts, np.nan)
    ends = np.flatnonzero(np.diff(cell[first])) + 1
    return np.split(np.arange(len(both)), ends), first, means.reshape(-1, len(levels)), levels


def _contrast(levels: np.ndarray, kind: str) -> np.ndarray:
    """[levels] weights whose product with the values is the effect."""
    if kind == ENDS:
        weights = np.zeros(len(levels))
        weights[np.argmin(levels)], weights[np.argmax(levels)] = -1, 1
        return weights
    dose = np.log(levels) if kind in (LOG_LOG, SLOPE) else levels
    dose = dose - dose.mean()
    return np.asarray(dose / (dose @ dose))
