"""The effect of an axis seed by seed: what seeds share across the axis' levels cancels. Estimand (a), this grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.stats.design import Design
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
    row: dict[Any, Any]  # one of the cell's networks


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
    seed = frame.groupby(list(seed_columns), dropna=False).ngroup() if seed_columns else pd.Series(0, index=frame.index)
    rows = frame[use]
    cells = design.others(axis)
    grouped = rows.groupby(cells, dropna=False, sort=True) if cells else [((), rows)]
    found = []
    for _, cell_rows in grouped:
        value = cell_rows[quantity].astype(float)
        value = np.log(value) if kind in (LOG_LOG, LOG_LINEAR) else value
        table = value.groupby([seed[cell_rows.index], cell_rows[axis]]).mean().unstack()
        complete = table.dropna()
        if table.shape[1] < 2 or complete.empty:
            continue
        levels = table.columns.to_numpy(dtype=float)
        effects = complete.to_numpy() @ _contrast(levels, kind)
        cell = {name: cell_rows[name].iloc[0] for name in cells}
        row = cell_rows.iloc[0].to_dict()
        found.append(SeedEffects(cell, effects, complete.index, levels, len(table) - len(complete), row))
    return found


def _contrast(levels: np.ndarray, kind: str) -> np.ndarray:
    """[levels] weights whose product with the values is the effect."""
    if kind == ENDS:
        weights = np.zeros(len(levels))
        weights[np.argmin(levels)], weights[np.argmax(levels)] = -1, 1
        return weights
    dose = np.log(levels) if kind in (LOG_LOG, SLOPE) else levels
    dose = dose - dose.mean()
    return np.asarray(dose / (dose @ dose))
