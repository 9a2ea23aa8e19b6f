"""Dose and response: the exponent of a quantity in width or sample size, cell by cell, seeds as replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.stats.design import Design
from multirun_analysis.stats.ols import Interval, t_interval

MINIMUM_SEEDS = 3
NO_GROWTH = 0.05  # an exponent whose upper limit lies below counts as no growth


@dataclass(frozen=True)
class Scaling:
    """Mean over seeds of the slope of log quantity on log axis in one cell; its t interval, df = seeds - 1."""

    quantity: str
    axis: str
    cell: dict[str, Any]
    slope: float
    seeds: int
    levels: int
    incomplete_seeds: int
    interval: Interval | None
    note: str = ""

    @property
    def verdict(self) -> str:
        """shrinks | does not grow | grows | open | undecided."""
        if self.interval is None:
            return "undecided"
        if self.interval.high < 0:
            return "shrinks"
        if self.interval.high < NO_GROWTH:
            return "does not grow"
        return "grows" if self.interval.low > 0 else "open"


def scalings(
    frame: pd.DataFrame, design: Design, axis: str, quantity: str, seed_columns: Sequence[str]
) -> list[Scaling]:
    """One result for each cell, the combinations of all other axes. Empty if the axis does not vary.

    Seeds are the replicates and the levels of the axis are fixed: each seed gives its own slope over all levels of its
    cell, so that what seeds share across levels cancels. Seeds that lack a level are left out and counted.
    """
    if axis not in design.axes or quantity not in frame:
        return []
    rows = frame[frame[quantity] > 0]
    cells = design.others(axis)
    grouped = rows.groupby(cells, dropna=False, sort=True) if cells else [((), rows)]
    results = [_cell(cell_rows, axis, quantity, cells, seed_columns) for _, cell_rows in grouped]
    return [result for result in results if result is not None]


def _cell(
    rows: pd.DataFrame, axis: str, quantity: str, cells: Sequence[str], seed_columns: Sequence[str]
) -> Scaling | None:
    seed = rows.groupby(list(seed_columns), dropna=False).ngroup() if seed_columns else pd.Series(0, index=rows.index)
    table = np.log(rows[quantity]).groupby([seed, rows[axis]]).mean().unstack()
    complete = table.dropna()
    if table.shape[1] < 2 or complete.empty:
        return None
    dose = np.log(table.columns.to_numpy(dtype=float))
    dose = dose - dose.mean()
    slopes = complete.to_numpy() @ dose / (dose @ dose)
    estimate, number = float(slopes.mean()), len(slopes)
    interval, note = None, ""
    if number < MINIMUM_SEEDS:
        note = f"{number} complete seeds, an interval needs {MINIMUM_SEEDS}"
    else:
        interval = t_interval(estimate, float(slopes.std(ddof=1) / np.sqrt(number)), number - 1, number)
    values = {name: rows[name].iloc[0] for name in cells}
    return Scaling(quantity, axis, values, estimate, number, table.shape[1], len(table) - number, interval, note)
