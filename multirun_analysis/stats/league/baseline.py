"""What every measure must beat: how the hyperparameters alone predict the target, and how they rank."""

from __future__ import annotations

import numpy as np

from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.league.league_types import Baseline
from multirun_analysis.stats.ranks.ranking import PairStatistics, granulated
from multirun_analysis.stats.regression.ols import constant, independent
from multirun_analysis.stats.regression.prediction import MINIMUM_GROUPS, explained, leave_group_out


def baseline(grid: Grid, y: np.ndarray, pairs: PairStatistics) -> Baseline:
    """y [configurations]: the target's means."""
    z, labels = grid.hyperparameters
    r2, adjusted = explained(y, z)
    number = len(np.unique(grid.groups))
    left_out, note = None, "the target does not vary"
    if not constant(y):
        left_out = leave_group_out(y, z, grid.groups) if number >= MINIMUM_GROUPS else None
        note = "" if left_out is not None else f"{number} groups for {z.shape[1]} hyperparameters"
    x = _leave_one_out(y, z)[:, None]
    found = pairs.estimates(pairs.evaluate(x, y), x, y)
    taus = found["tau"][0], found["tau_within"][0], granulated(found, 0)
    return Baseline(tuple(labels), r2, adjusted, left_out, number, *taus, note)


def _leave_one_out(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Predictions of least squares without the row itself, y - e/(1 - h); NaN where the others do not determine it."""
    centred = y - y.mean()
    basis = independent(z - z.mean(axis=0)) if z.shape[1] else np.empty((len(y), 0))
    residual = centred - basis @ (basis.T @ centred)
    free = 1 - 1 / len(y) - np.sum(basis**2, axis=1)
    return np.where(free > 1e-9, y - residual / np.where(free > 1e-9, free, 1), np.nan)
