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
    use = np.isfinite(frame[quantity].to_numpy(dtype=float)) & frame[axis].notna().to_numpy()
    if kind in (LOG_LOG, LOG_LINEAR):
        use &= frame[quantity].to_numpy(dtype=float) > 0
    if kind in (LOG_LOG, SLOPE):
        use &= frame[axis].to_numpy(dtype=float) > 0
    seed = codes(frame, seed_columns)
    place = np.flatnonzero(use)
    rows, value = frame.iloc[place], frame[quantity].to_numpy(dtype=float)[place]
    value = np.log(value) if kind in (LOG_LOG, LOG_LINEAR) else value
    cells = design.others(axis)
    cell = rows.groupby(cells, dropna=False, sort=True).ngroup().to_numpy() if cells else np.zeros(len(rows), int)
    levels, level = np.unique(rows[axis].to_numpy(dtype=float), return_inverse=True)
    line, first, number = np.unique(
        cell * (int(seed.max(initial=0)) + 1) + seed[place], return_index=True, return_inverse=True
    )
    flat, shape = number * len(levels) + level, (len(line), len(levels))
    counts = np.bincount(flat, minlength=len(line) * len(levels)).reshape(shape)
    sums = np.bincount(flat, weights=value, minlength=len(line) * len(levels)).reshape(shape)
    table = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)  # one row a seed in a cell, sorted by cell
    found: list[tuple[int, np.ndarray, pd.Index, np.ndarray, int]] = []
    for lines in np.split(np.arange(len(line)), np.flatnonzero(np.diff(cell[first])) + 1) if len(line) else ():
        present = (counts[lines] > 0).any(axis=0)
        own = table[lines][:, present]
        complete = ~np.isnan(own).any(axis=1)
        if present.sum() < 2 or not complete.any():
            continue
        effects = own[complete] @ _contrast(levels[present], kind)
        index = int(first[lines].min())
        seeds = pd.Index(seed[place][first[lines][complete]])
        found.append((index, effects, seeds, levels[present], int((~complete).sum())))
    named = rows[cells].iloc[[item[0] for item in found]].to_dict("records") if cells else [{} for _ in found]
    return [SeedEffects(cell, *item[1:], int(place[item[0]])) for cell, item in zip(named, found, strict=True)]


def _contrast(levels: np.ndarray, kind: str) -> np.ndarray:
    """[levels] weights whose product with the values is the effect."""
    if kind == ENDS:
        weights = np.zeros(len(levels))
        weights[np.argmin(levels)], weights[np.argmax(levels)] = -1, 1
        return weights
    dose = np.log(levels) if kind in (LOG_LOG, SLOPE) else levels
    dose = dose - dose.mean()
    return np.asarray(dose / (dose @ dose))
