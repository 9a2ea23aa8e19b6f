"""Dose and response: the exponent of a quantity in width or sample size, cell by cell, seeds as replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.stats.claims.paper_claims import LOG_LOG
from multirun_analysis.stats.claims.seed_blocks import Blocked
from multirun_analysis.stats.claims.seed_effects import CellEffect, cell_effects
from multirun_analysis.stats.design import Design
from multirun_analysis.stats.regression.ols import Interval

NO_GROWTH = 0.05  # an exponent whose upper limit lies below counts as no growth


@dataclass(frozen=True)
class Scaling:
    """Slope of log quantity on log axis in one cell, seeds the replicates; its 95% t interval (seed_blocks.Blocked).

    seeds: those with two of the levels; incomplete_seeds: those of them that lack one, used with what they have.
    """

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

    Seeds are the replicates and the levels of the axis are fixed: what a seed shares across the levels of its cell
    cancels. A seed that lacks a level is used for those it has.
    """
    if axis not in design.axes or quantity not in frame:
        return []
    found = cell_effects(frame, design, axis, quantity, seed_columns, LOG_LOG)
    return [_scaling(item, item.found, axis, quantity) for item in found if item.found is not None]


def _scaling(item: CellEffect, found: Blocked, axis: str, quantity: str) -> Scaling:
    seeds, levels = len(found.seeds), len(item.levels)
    note = item.note.replace("a test", "an interval")
    return Scaling(quantity, axis, item.cell, found.effect, seeds, levels, item.incomplete, found.interval(), note)
