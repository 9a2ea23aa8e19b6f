"""Rank correlation of measure and target, given the axes."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import rankdata

from multirun_analysis.stats.intervals import COVERED
from multirun_analysis.stats.ols import MINIMUM, TINY, independent
from multirun_analysis.stats.standings import Estimate

Z = 1.959963984540054  # 97.5% normal quantile


def partial_rank(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> Estimate:
    """Spearman's correlation of x and y [rows] after ranks have lost what controls [rows, columns] explain linearly.

    Interval: Fisher's z with variance (1 + r^2/2)/(rows - controls - 3) (Bonett & Wright 2000). NaN rows are left out;
    +infinity has the worst rank.
    """
    use = ~(np.isnan(x) | np.isnan(y))
    points = int(use.sum())
    if points < 3:
        return Estimate(None, points=points, note=f"{points} configurations")
    basis = independent(controls[use] - controls[use].mean(axis=0)) if controls.shape[1] else np.empty((points, 0))
    free = []
    for values in (x[use], y[use]):
        rank = rankdata(values)
        rank = rank - rank.mean()
        residual = rank - basis @ (basis.T @ rank)
        if residual @ residual <= TINY * max(rank @ rank, TINY):
            return Estimate(None, points=points, note="the axes determine the ranks")
        free.append(residual / np.linalg.norm(residual))
    value = float(np.clip(free[0] @ free[1], -1, 1))
    df = points - basis.shape[1] - 3
    if points < MINIMUM or df < 1:
        return Estimate(value, points=points, note=f"{points} configurations less {basis.shape[1]} axis terms")
    half = Z * math.sqrt((1 + value**2 / 2) / df)
    centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), points, covered=points >= COVERED)
