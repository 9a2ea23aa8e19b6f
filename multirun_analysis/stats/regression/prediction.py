"""What hyperparameters alone explain, and what a measure adds to them in unseen groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.regression.ols import constant, independent

MINIMUM_GROUPS = 3


@dataclass(frozen=True)
class Prediction:
    """r2: in sample. left_out: 1 - SSE/sum(y - mean of the training groups)^2 over groups predicted from the others.

    `gain` is left_out with the measure beside the hyperparameters, less left_out of the hyperparameters alone.
    """

    r2: float | None
    r2_adjusted: float | None
    left_out: float | None
    left_out_measure: float | None
    left_out_both: float | None
    groups: int
    note: str = ""

    @property
    def gain(self) -> float | None:
        if self.left_out is None or self.left_out_both is None:
            return None
        return self.left_out_both - self.left_out


def predict(grid: Grid, y: np.ndarray, x: np.ndarray) -> list[Prediction]:
    """Linear models on configuration means, for each measure of x [configurations, K] beside the hyperparameters."""
    z, _ = grid.hyperparameters
    r2, adjusted = explained(y, z)
    groups = grid.groups
    number = len(np.unique(groups))
    if number < MINIMUM_GROUPS:
        note = f"leaving one group out needs at least {MINIMUM_GROUPS} groups, but there are {number}"
        return [Prediction(r2, adjusted, None, None, None, number, note)] * x.shape[1]
    if constant(y):
        return [Prediction(None, None, None, None, None, number, "the target does not vary")] * x.shape[1]
    alone = leave_group_out(y, z, groups)
    measure, both = _beside(y, np.empty((len(y), 0)), x, groups), _beside(y, z, x, groups)
    few = "too few configurations for so many hyperparameters"
    return [
        Prediction(r2, adjusted, alone, own, joint, number, few if joint is None else "")
        for own, joint in zip(measure, both, strict=True)
    ]


def explained(y: np.ndarray, z: np.ndarray) -> tuple[float | None, float | None]:
    """R^2 of y on the columns of z [rows, columns] and an intercept, and adjusted R^2; None where undefined."""
    centred = y - y.mean()
    total = float(centred @ centred)
    if constant(y):
        return None, None
    basis = independent(z - z.mean(axis=0))
    residual = centred - basis @ (basis.T @ centred)
    r2 = 1 - float(residual @ residual) / total
    df = len(y) - basis.shape[1] - 1
    return r2, (1 - (1 - r2) * (len(y) - 1) / df if df > 0 else None)


def leave_group_out(y: np.ndarray, z: np.ndarray, groups: np.ndarray) -> float | None:
    """1 - SSE/sum(y - mean of the training groups)^2, each group predicted by a fit to all others.

    A column that does not vary among the training groups takes no part. None if a fit has no degree of freedom.
    """
    return _beside(y, z, np.zeros((len(y), 1)), groups)[0]


def _beside(y: np.ndarray, z: np.ndarray, x: np.ndarray, groups: np.ndarray) -> list[float | None]:
    """leave_group_out with z [rows, columns] and each column of x [rows, K] beside it; z is factored once a group.

    Least squares of least norm: the small triangular factor of the columns has their singular values.
    """
    error, baseline = np.zeros(x.shape[1]), 0.0
    for group in np.unique(groups):
        test, train = groups == group, groups != group
        (fixed, kept), (own, varies) = standardized(z, train), standardized(x, train)
        own, mean = np.where(varies, own, 0), y[train].mean()
        if train.sum() <= kept.sum() + 1:  # fewer configurations than hyperparameters: nothing can be fitted
            error[:] = np.nan
            continue
        basis, corner = np.linalg.qr(fixed[train][:, kept])
        along = basis.T @ own[train]
        rest = own[train] - basis @ along
        again = basis.T @ rest  # once more, for columns near the span
        along, rest = along + again, rest - basis @ again
        length = np.linalg.norm(rest, axis=0)
        columns = int(kept.sum())
        error[train.sum() <= columns + varies + 1] = np.nan
        factor = np.zeros((x.shape[1], columns + 1, columns + 1))
        factor[:, :columns, :columns], factor[:, :columns, columns], factor[:, columns, columns] = (
            corner,
            along.T,
            length,
        )
        aim = np.empty((x.shape[1], columns + 1))
        aim[:, :columns] = basis.T @ (y[train] - mean)
        aim[:, columns] = (y[train] - mean) @ rest / np.where(length > 0, length, 1)
        weights = np.einsum("kij,kj->ki", np.linalg.pinv(factor, rcond=1e-10), aim)
        found = fixed[test][:, kept] @ weights[:, :columns].T + own[test] * weights[:, columns]
        error += np.sum((y[test][:, None] - mean - found) ** 2, axis=0)
        baseline += float(np.sum((y[test] - mean) ** 2))
    return [None if np.isnan(item) or baseline <= 0 else float(1 - item / baseline) for item in error]


def standardized(columns: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns on the training rows' scale, and which of them vary there."""
    centre, spread = columns[train].mean(axis=0), columns[train].std(axis=0)
    varies = spread > 1e-10 * np.maximum(1.0, np.abs(centre))
    return (columns - centre) / np.where(varies, spread, 1), varies
