"""Rank correlation within groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau


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
        x_free, y_free = _untied(x[rows]), _untied(y[rows])
        if x_free and y_free:
            score += float(kendalltau(x[rows], y[rows]).statistic) * math.sqrt(x_free * y_free)
        x_untied, y_untied = x_untied + x_free, y_untied + y_free
        pairs += int(rows.sum() * (rows.sum() - 1) // 2)
    if x_untied == 0 or y_untied == 0:
        return Tau(None, pairs)
    return Tau(score / math.sqrt(x_untied * y_untied), pairs)


def _untied(values: np.ndarray) -> int:
    """Pairs of different values."""
    ties = np.unique(values, return_counts=True)[1]
    return int((len(values) ** 2 - np.sum(ties**2)) // 2)
