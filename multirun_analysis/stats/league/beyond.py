"""What of a measure and of the target the hyperparameters leave, and how the two go together.

The hyperparameters enter as factors, one column a level, so that any curve of an axis is theirs; then two axes
together, as far as enough degrees of freedom are left. What is positive is taken as it is or as its logarithm, on
whichever scale they explain it better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from multirun_analysis.stats.design import indicators
from multirun_analysis.stats.grid import Grid, score
from multirun_analysis.stats.intervals import COVERED
from multirun_analysis.stats.league.league_types import Estimate
from multirun_analysis.stats.regression.ols import CONFIDENCE, MINIMUM, TINY, independent

FEWEST = 3  # configurations that have a correlation at all
LEFT = 12  # degrees of freedom that terms of two axes must leave


def factors(one: pd.DataFrame, axes: Sequence[str]) -> np.ndarray:
    """[rows, rank] orthonormal basis of the hyperparameters' columns, centred. one: the axes, a row a configuration."""
    columns = [column for axis in axes for column in _levels(one[axis])]
    basis = _basis(columns, len(one))
    for term in _pairs(one, axes):
        wider = _basis([*columns, *term], len(one))
        if len(one) - 1 - wider.shape[1] >= LEFT:
            columns, basis = [*columns, *term], wider
    return basis


def partials(x: np.ndarray, y: np.ndarray, grid: Grid) -> list[Estimate]:
    """For each measure of x [configurations, K] beside the target y [configurations]."""
    finite = np.isfinite(x) & np.isfinite(y)[:, None]
    bases = {use.tobytes(): factors(grid.one[use], grid.design.axes) for use in finite.T if use.sum() >= FEWEST}
    return [_partial(x[use, k], y[use], bases.get(use.tobytes())) for k, use in enumerate(finite.T)]


def _partial(x: np.ndarray, y: np.ndarray, basis: np.ndarray | None) -> Estimate:
    """Correlation of what the hyperparameters leave of x and y [rows], with an interval on Fisher's z scale.

    As wide as makes it exclude 0 just where the t test of the correlation does.
    """
    points = len(x)
    if basis is None:
        return Estimate(None, points=points, note=f"{points} configurations")
    own, target = _rest(x, basis), _rest(y, basis)
    if own is None or target is None:
        what = "measure" if own is None else "target"
        return Estimate(None, points=points, note=f"the hyperparameters determine the {what}")
    value = float(np.clip(own @ target, -1, 1))
    df = points - basis.shape[1] - 1 - 2
    if points < MINIMUM or df < 2:
        return Estimate(
            value, points=points, note=f"{points} configurations are too few for {basis.shape[1]} terms of the axes"
        )
    t = float(stdtrit(df, 0.5 + CONFIDENCE / 2))
    scaled = value * math.sqrt(df / max(1 - value**2, 1e-12))
    p = 2 * float(stdtr(df, -abs(scaled)))
    half, centre = math.atanh(t / math.sqrt(df + t * t)), math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), points, covered=points >= COVERED, p=p)


def _rest(values: np.ndarray, basis: np.ndarray) -> np.ndarray | None:
    """Of unit length; None where nothing is left."""
    best = None
    for scaled, jacobian in _scales(values):
        centred = scaled - scaled.mean()
        residual = centred - basis @ (basis.T @ centred)
        square = float(residual @ residual)
        if square <= TINY * max(float(centred @ centred), TINY):
            return None
        # The likelihood of normal errors on this scale (Box & Cox 1964), without what all scales have in common.
        likelihood = -len(values) / 2 * math.log(square) + jacobian
        if best is None or likelihood > best[0]:
            best = likelihood, residual / math.sqrt(square)
    return None if best is None else best[1]


def _scales(values: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    yield values, 0.0
    if (values > 0).all():
        yield np.log(values), -float(np.log(values).sum())


def _basis(columns: list[np.ndarray], rows: int) -> np.ndarray:
    if not columns:
        return np.empty((rows, 0))
    matrix = np.column_stack(columns)
    return independent(matrix - matrix.mean(axis=0))


def _levels(values: pd.Series) -> list[np.ndarray]:
    return list(indicators(pd.factorize(values, use_na_sentinel=False)[0]).T)


def _pairs(one: pd.DataFrame, axes: Sequence[str]) -> Iterator[list[np.ndarray]]:
    """Terms of two axes, few columns first: number times number, number times levels, levels times levels."""
    pairs = list(combinations(axes, 2))
    found = {axis: score(one[axis], axis) for axis in axes}
    scores = {axis: None if numbers is None else numbers - numbers.mean() for axis, numbers in found.items()}
    for a, b in pairs:
        first, second = scores[a], scores[b]
        if first is not None and second is not None:
            yield [first * second]
    for a, b in pairs:
        for number, levels in ((a, b), (b, a)):
            times = scores[number]
            if times is not None:
                yield [times * column for column in _levels(one[levels])]
    for a, b in pairs:
        yield [column * other for column in _levels(one[a]) for other in _levels(one[b])]
