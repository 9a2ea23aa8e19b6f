"""One coefficient of a least-squares fit with fixed effects, its t interval, and a cluster-robust repetition.

All slopes of the analysis are this one function with other fixed effects, controls and rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from multirun_analysis.stats.regression.clustered import TINY, Clustered, Fits, cluster_robust

CONFIDENCE = 0.95
MINIMUM = 6  # fewer clusters: undecided, no interval


@dataclass(frozen=True)
class Interval:
    """Two-sided t interval. points: the clusters it rests on."""

    se: float
    low: float
    high: float
    df: float
    p: float
    points: int

    @property
    def side(self) -> str:
        """positive | negative (it excludes 0) | includes 0."""
        return side(self.low, self.high)

    def scaled(self, scale: float) -> Interval:
        """Of scale times the estimate, scale > 0."""
        return replace(self, se=scale * self.se, low=scale * self.low, high=scale * self.high)


@dataclass(frozen=True)
class Slope:
    """slope: units of the target per unit of the regressor; a gap or an error is a fraction, so 100 times it is the
    report's percentage points. points: rows that inform the slope, groups: fixed effects they lie in.

    effect: slope x sd of the regressor, in units of the target. r2: share of the target's remaining variance that
    the regressor explains. interval and clustered are None where undecided; note says why.
    """

    slope: float | None
    points: int
    groups: int
    interval: Interval | None = None
    clustered: Interval | None = None
    clusters: int | None = None
    r2: float | None = None
    effect: float | None = None
    note: str = ""

    @property
    def widest(self) -> Interval | None:
        """The wider of the plain and the clustered interval; None: there is neither."""
        known = [item for item in (self.interval, self.clustered) if item is not None]
        return max(known, key=lambda item: item.high - item.low) if known else None

    @property
    def verdict(self) -> str:
        """positive | negative (the interval excludes 0) | includes 0 | undecided."""
        return "undecided" if self.interval is None or self.points < MINIMUM else self.interval.side


def side(low: float | None, high: float | None) -> str:
    """Of an interval: positive | negative (it excludes 0) | includes 0 | undecided (there is none)."""
    if low is None or high is None:
        return "undecided"
    return "positive" if low > 0 else "negative" if high < 0 else "includes 0"


def fit_slope(y: np.ndarray, x: np.ndarray, **options: Any) -> Slope:
    """fit_slopes of one regressor [rows]."""
    return fit_slopes(y, x[:, None], **options)[0]


def fit_slopes(
    y: np.ndarray,
    x: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    controls: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    minimum: int = MINIMUM,
    fewest: int = MINIMUM,
    unit: str = "configurations",
    spanned: np.ndarray | None = None,
) -> list[Slope]:
    """Slopes of y [rows] on each column of x [rows, K] by itself; fixed effects and controls are factored once.

    groups [rows]: codes, each with an intercept; controls [rows, columns]: linear. The interval is t with
    rows - groups - controls - 1 degrees of freedom. clusters: codes for a second, CR2 interval.
    With fewer than `minimum` informative rows, or `fewest` clusters, there is no interval.
    spanned [rows, rank]: controls that are orthonormal within groups of two or more rows already.
    """
    codes = np.zeros(len(y), dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    informative = np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, dtype=bool)
    y, x, codes = y[informative], x[informative], np.unique(codes[informative], return_inverse=True)[1]
    points, n_groups = len(y), len(np.unique(codes))
    if points == 0:
        return [Slope(None, 0, 0, note=f"no group holds two {unit}")] * x.shape[1]
    within_y, within_x = demean(y, codes), demean(x, codes)
    basis = np.empty((points, 0)) if spanned is None else spanned[informative]
    basis = _span(controls[informative], codes) if controls is not None else basis
    free_y, free_x = (values - basis @ (basis.T @ values) for values in (within_y, within_x))
    if all(constant(y[codes == group]) for group in range(n_groups)):
        return [Slope(None, points, n_groups, note="the target does not vary")] * x.shape[1]
    total, within, free = (np.sum(values**2, axis=0) for values in (x, within_x, free_x))
    varies = within > TINY**2 * np.maximum(total, TINY)
    usable = varies & (free > TINY * within)
    residual, slopes = np.repeat(free_y[:, None], x.shape[1], axis=1), np.full(x.shape[1], np.nan)
    slopes[usable] = free_y @ free_x[:, usable] / free[usable]
    residual[:, usable] -= slopes[usable] * free_x[:, usable]
    robust: dict[int, Clustered] = {}
    if clusters is not None:
        fits = Fits(free_x[:, usable], residual[:, usable], basis, codes)
        robust = dict(zip(np.flatnonzero(usable), cluster_robust(fits, clusters[informative], fewest), strict=True))
    results = []
    for k in range(x.shape[1]):
        if not usable[k]:
            note = "the controls determine the regressor" if varies[k] else "the regressor does not vary"
            results.append(Slope(None, points, n_groups, note=note))
            continue
        slope, unexplained = float(slopes[k]), float(residual[:, k] @ residual[:, k])
        explainable = float(np.sum((residual[:, k] + slope * free_x[:, k]) ** 2))
        r2 = 1 - unexplained / explainable if explainable > 0 else None
        effect = slope * float(np.sqrt(free[k] / points))
        df = points - n_groups - basis.shape[1] - 1
        note = f"{points} {unit}, but an interval needs at least {minimum}" if points < minimum else ""
        interval = None
        if points >= minimum and df >= 1:
            interval = t_interval(slope, float(np.sqrt(unexplained / df / free[k])), df, points)
        elif not note:
            note = f"{points} {unit} leave no degree of freedom"
        results.append(Slope(slope, points, n_groups, interval, *_clustered(slope, robust.get(k)), r2, effect, note))
    return results


def constant(values: np.ndarray) -> bool:
    """Whether all values are the same, to rounding."""
    return float(np.ptp(values)) <= TINY * float(np.abs(values).max()) if len(values) else True


def demean(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Values [rows] or [rows, columns] less the mean of their group."""
    sizes = np.bincount(codes)
    if values.ndim == 1:
        return values - (np.bincount(codes, weights=values) / sizes)[codes]
    return np.column_stack([demean(column, codes) for column in values.T]) if values.shape[1] else values


def independent(matrix: np.ndarray) -> np.ndarray:
    """[rows, rank] orthonormal basis of the columns, each judged on its own scale."""
    scale = np.linalg.norm(matrix, axis=0)
    left, singular, _ = np.linalg.svd(matrix[:, scale > 0] / scale[scale > 0], full_matrices=False)
    return left[:, singular > TINY * max(1.0, singular.max(initial=0.0))]


def t_interval(estimate: float, se: float, df: float, points: int) -> Interval:
    """Two-sided interval of an estimate with a t reference distribution."""
    half = float(stdtrit(df, 0.5 + CONFIDENCE / 2)) * se
    p = 2 * float(stdtr(df, -abs(estimate) / se)) if se > 0 else float(estimate == 0)
    return Interval(se, estimate - half, estimate + half, float(df), p, points)


def _clustered(slope: float, found: Clustered | None) -> tuple[Interval | None, int | None]:
    if found is None or found.se is None or found.df is None:
        return None, None if found is None else found.clusters
    return t_interval(slope, found.se, found.df, found.clusters), found.clusters


def _span(controls: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """[rows, rank] orthonormal basis of what the controls vary within groups."""
    within = demean(controls, codes)
    if controls.shape[1]:
        within[:, np.linalg.norm(within, axis=0) <= TINY * np.linalg.norm(controls, axis=0)] = 0
    return independent(within) if controls.shape[1] else within
