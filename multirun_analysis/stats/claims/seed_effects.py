"""The effect of an axis cell by cell: what a seed shares across the axis' levels cancels. Estimand (a), this grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis import labels
from multirun_analysis.stats.claims.paper_claims import ENDS, LEVEL, LOG_LINEAR, LOG_LOG
from multirun_analysis.stats.claims.seed_blocks import MINIMUM_SEEDS, Blocked, blocked
from multirun_analysis.stats.design import Design, codes

SLOPE = "slope on log axis"
LOGS = (LOG_LOG, LOG_LINEAR)  # kinds on the logarithm of the quantity


@dataclass(frozen=True)
class Turn:
    """From one level of the axis to a larger one the quantity (its logarithm for LOGS) changes by so much."""

    lower: float
    upper: float
    change: float


@dataclass(frozen=True)
class CellEffect:
    """One cell. found: the effect, None where no two levels can be compared; note: why it cannot be tested, else "".

    levels: those that more than half of the seeds with two levels have; set_aside: the others, which few seeds have.
    incomplete: seeds that lack one of `levels`. stray: neither two levels nor three seeds, so no part of the grid.
    """

    cell: dict[str, Any]
    found: Blocked | None
    levels: np.ndarray
    set_aside: tuple[float, ...]
    incomplete: int
    row: int  # of the frame: one of the cell's networks
    note: str = ""
    stray: bool = False
    rise: Turn | None = None  # where the quantity is shown to rise most from one level to a larger one
    fall: Turn | None = None


def cell_effects(
    frame: pd.DataFrame, design: Design, axis: str, quantity: str, seed_columns: Sequence[str], kind: str
) -> list[CellEffect]:
    """One result for each cell, the combinations of all other axes, in order of their values.

    kind: `exponent` (log on log), `log slope` (log on the axis), `slope on log axis`, `difference of ends` (largest
    level less smallest). Networks where a logarithm is undefined are left out. A seed counts with the levels it has.
    """
    cells, seed = design.others(axis), codes(frame, seed_columns)
    cell = frame.groupby(cells, dropna=False, sort=True).ngroup().to_numpy() if cells else np.zeros_like(seed)
    order = np.argsort(cell, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(cell[order])) + 1)
    level, use = frame[axis].to_numpy(dtype=float), _usable(frame, axis, quantity, kind)
    value = frame[quantity].to_numpy(dtype=float)
    value = np.log(np.where(use, value, 1.0)) if kind in LOGS else value
    value = np.where(use, value, np.nan)
    named = frame.iloc[[rows[0] for rows in parts]][cells].itertuples(index=False, name=None) if cells else [()]
    found = []
    for rows, values in zip(parts, named, strict=True):
        there = rows[~np.isnan(level[rows])]
        named_cell = dict(zip(cells, values, strict=True))
        found.append(_cell(named_cell, value[there], seed[there], level[there], kind, int(rows[0])))
    return found


def _usable(frame: pd.DataFrame, axis: str, quantity: str, kind: str) -> np.ndarray:
    use = np.isfinite(frame[quantity].to_numpy(dtype=float)) & frame[axis].notna().to_numpy()
    if kind in LOGS:
        use &= frame[quantity].to_numpy(dtype=float) > 0
    if kind in (LOG_LOG, SLOPE):
        use &= frame[axis].to_numpy(dtype=float) > 0
    return np.asarray(use)


def _table(value: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """[rows, columns] means over networks alike, NaN where there is none."""
    use, shape = ~np.isnan(value), (int(row.max()) + 1, int(column.max()) + 1)
    place = row[use] * shape[1] + column[use]
    counts = np.bincount(place, minlength=shape[0] * shape[1])
    total = np.bincount(place, weights=value[use], minlength=len(counts))
    return (total / np.where(counts > 0, counts, np.nan)).reshape(shape)


def _cell(
    cell: dict[str, Any], value: np.ndarray, seed: np.ndarray, level: np.ndarray, kind: str, row: int
) -> CellEffect:
    """value, seed, level [networks]: those of the cell; a value is NaN where the effect is not defined for it."""
    seeds, line = np.unique(seed, return_inverse=True)
    levels, column = np.unique(level, return_inverse=True)
    stray = len(levels) < 2 and len(seeds) < MINIMUM_SEEDS
    nothing = CellEffect(cell, None, levels, (), 0, row, stray=stray)
    if len(levels) < 2:
        return replace(nothing, note=f"{labels.count(len(levels), 'level')}, but a test needs at least 2")
    table = _table(value, line, column)
    present = ~np.isnan(table)
    informs = present.sum(axis=1) > 1
    counts = present[informs].sum(axis=0)
    kept = 2 * counts > informs.sum()  # any two of these share a seed, so their difference can be estimated
    if not informs.any():
        return replace(nothing, note="no seed has two levels")
    if kept.sum() < 2:
        return replace(nothing, note="most seeds have no two levels in common")
    used = present[:, kept].sum(axis=1) > 1
    own = table[np.ix_(used, kept)]
    found = blocked(own, _contrast(levels[kept], kind), seeds[used])
    note = "" if found.tested else f"{labels.count(len(own), 'seed')}, but a test needs at least {MINIMUM_SEEDS}"
    aside = tuple(float(item) for item in levels[~kept])
    incomplete = int(np.isnan(own).any(axis=1).sum())
    turns = (_turn(own, levels[kept], seeds[used], sign) for sign in (1, -1))
    return CellEffect(cell, found, levels[kept], aside, incomplete, row, note, False, *turns)


def _turn(own: np.ndarray, levels: np.ndarray, seeds: np.ndarray, sign: int) -> Turn | None:
    """The largest rise (sign 1) or fall (-1) between two levels, if a t test shows it after Bonferroni over pairs."""
    if len(levels) < 3:
        return None
    found = []
    pairs = list(combinations(range(len(levels)), 2))
    for lower, upper in pairs:
        weights = np.zeros(len(levels))
        weights[lower], weights[upper] = -1.0, 1.0
        change = blocked(own, weights, seeds)
        p = (change.p_above(0) if sign > 0 else change.p_below(0)) if change.tested else 1.0
        if len(pairs) * p <= LEVEL:
            found.append(Turn(float(levels[lower]), float(levels[upper]), change.effect))
    return max(found, key=lambda turn: sign * turn.change, default=None)


def _contrast(levels: np.ndarray, kind: str) -> np.ndarray:
    """[levels] weights whose product with the values is the effect."""
    if kind == ENDS:
        weights = np.zeros(len(levels))
        weights[np.argmin(levels)], weights[np.argmax(levels)] = -1, 1
        return weights
    dose = np.log(levels) if kind in (LOG_LOG, SLOPE) else levels
    dose = dose - dose.mean()
    return np.asarray(dose / (dose @ dose))
