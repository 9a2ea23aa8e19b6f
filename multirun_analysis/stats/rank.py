"""Rank correlation within groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tau:
    """Kendall's tau-b over the pairs that lie in one group; None if every pair is tied."""

    tau: float | None
    pairs: int


def kendall_within(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Tau:
    """tau-b whose concordances and ties are counted over pairs within a group. With one group: the usual tau-b."""
    score = x_untied = y_untied = 0.0
    pairs = 0
    for group in np.unique(groups):
        rows = groups == group
        dx = np.sign(np.subtract.outer(x[rows], x[rows]))
        dy = np.sign(np.subtract.outer(y[rows], y[rows]))
        score += float(np.sum(dx * dy)) / 2
        x_untied += float(np.sum(dx != 0)) / 2
        y_untied += float(np.sum(dy != 0)) / 2
        pairs += int(rows.sum() * (rows.sum() - 1) // 2)
    if x_untied == 0 or y_untied == 0:
        return Tau(None, pairs)
    return Tau(score / math.sqrt(x_untied * y_untied), pairs)
