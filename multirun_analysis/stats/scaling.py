"""Dose and response: the exponent of a quantity in width or sample size, cell by cell, seeds as replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.stats.blocked import SeedEffects, seed_effects
from multirun_analysis.stats.design import Design
from multirun_analysis.stats.ols import Interval, t_interval
from multirun_analysis.stats.prestated import LOG_LOG

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
    return [
        _scaling(found, axis, quantity) for found in seed_effects(frame, design, axis, quantity, seed_columns, LOG_LOG)
    ]


def _scaling(found: SeedEffects, axis: str, quantity: str) -> Scaling:
    estimate, number = float(found.effects.mean()), len(found.effects)
    interval, note = None, ""
    if number < MINIMUM_SEEDS:
        note = f"{number} complete seeds, an interval needs {MINIMUM_SEEDS}"
    else:
        interval = t_interval(estimate, float(found.effects.std(ddof=1) / np.sqrt(number)), number - 1, number)
    return Scaling(quantity, axis, found.cell, estimate, number, len(found.levels), found.incomplete, interval, note)
