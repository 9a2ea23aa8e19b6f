"""One coefficient of a least-squares fit with fixed effects, its t interval, and a cluster-robust repetition.

All slopes of the analysis are this one function with other fixed effects, controls and rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95
MINIMUM = 6  # fewer clusters: undecided, no interval
TINY = 1e-10  # relative size below which a regressor counts as determined by the others


@dataclass(frozen=True)
class Interval:
    """Two-sided t interval. points: the clusters it rests on."""

    se: float
    low: float
    high: float
    df: float
    p: float
    points: int


@dataclass(frozen=True)
class Slope:
    """points: rows that inform the slope, groups: fixed effects they lie in, effect: slope x sd of the regressor.

    r2: share of the target's remaining variance that the regressor explains. interval and clustered are None where
    undecided; note says why.
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
    def verdict(self) -> str:
        """positive | negative (the interval excludes 0) | includes 0 | undecided."""
        if self.interval is None or self.points < MINIMUM:
            return "undecided"
        return "positive" if self.interval.low > 0 else "negative" if self.interval.high < 0 else "includes 0"


@dataclass(frozen=True)
class _Fit:
    x: np.ndarray  # [rows] regressor, freed of fixed effects and controls
    residual: np.ndarray  # [rows]
    basis: np.ndarray  # [rows, k] orthonormal, spans controls and regressor within groups
    codes: np.ndarray  # [rows] fixed-effect group
    slope: float
    df: int


def fit_slope(
    y: np.ndarray,
    x: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    controls: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    minimum: int = MINIMUM,
    unit: str = "configurations",
) -> Slope:
    """Slope of y on x [rows], with an intercept for each group code and linear controls [rows, columns].

    The interval is t with rows - groups - controls - 1 degrees of freedom. clusters: codes for a second, CR2 interval.
    With fewer than `minimum` informative rows (or MINIMUM clusters) there is no interval.
    """
    codes = np.zeros(len(y), dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    informative = np.bincount(codes)[codes] > 1
    y, x, codes = y[informative], x[informative], np.unique(codes[informative], return_inverse=True)[1]
    points, n_groups = len(y), len(np.unique(codes))
    if points == 0:
        return Slope(None, 0, 0, note=f"no group holds two {unit}")
    fit, note = _fit(y, x, codes, None if controls is None else controls[informative])
    if fit is None:
        return Slope(None, points, n_groups, note=note)
    y_within = fit.residual + fit.slope * fit.x
    total = float(y_within @ y_within)
    r2 = 1 - float(fit.residual @ fit.residual) / total if total > 0 else None
    effect = fit.slope * float(np.sqrt(fit.x @ fit.x / points))
    if points < minimum:
        note = f"{points} {unit}, an interval needs {minimum}"
    interval = _interval(fit, points) if points >= minimum and fit.df >= 1 else None
    if interval is None and not note:
        note = f"{points} {unit} leave no degree of freedom"
    clustered, n_clusters = None, None
    if clusters is not None:
        clustered, n_clusters = _cluster_robust(fit, clusters[informative])
    return Slope(fit.slope, points, n_groups, interval, clustered, n_clusters, r2, effect, note)


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


def _fit(y: np.ndarray, x: np.ndarray, codes: np.ndarray, controls: np.ndarray | None) -> tuple[_Fit | None, str]:
    within_y, within_x = demean(y, codes), demean(x, codes)
    if float(within_x @ within_x) <= TINY**2 * max(float(x @ x), TINY):
        return None, "the regressor does not vary"
    basis = np.empty((len(y), 0))
    if controls is not None and controls.shape[1]:
        raw = demean(controls, codes)
        raw[:, np.linalg.norm(raw, axis=0) <= TINY * np.linalg.norm(controls, axis=0)] = 0
        basis = independent(raw)
    free_y = within_y - basis @ (basis.T @ within_y)
    free_x = within_x - basis @ (basis.T @ within_x)
    if float(free_x @ free_x) <= TINY * float(within_x @ within_x):
        return None, "the controls determine the regressor"
    slope = float(free_x @ free_y / (free_x @ free_x))
    df = len(y) - len(np.unique(codes)) - basis.shape[1] - 1
    full = np.column_stack([basis, free_x / np.linalg.norm(free_x)])
    return _Fit(free_x, free_y - slope * free_x, full, codes, slope, df), ""


def t_interval(estimate: float, se: float, df: float, points: int) -> Interval:
    """Two-sided interval of an estimate with a t reference distribution."""
    half = float(stdtrit(df, 0.5 + CONFIDENCE / 2)) * se
    p = 2 * float(stdtr(df, -abs(estimate) / se)) if se > 0 else float(estimate == 0)
    return Interval(se, estimate - half, estimate + half, float(df), p, points)


def _interval(fit: _Fit, points: int) -> Interval:
    variance = float(fit.residual @ fit.residual) / fit.df
    return t_interval(fit.slope, float(np.sqrt(variance / (fit.x @ fit.x))), fit.df, points)


def _cluster_robust(fit: _Fit, clusters: np.ndarray) -> tuple[Interval | None, int]:
    """CR2 with Satterthwaite degrees of freedom (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018).

    Clusters without variation of the regressor carry nothing and do not count.
    """
    square = float(fit.x @ fit.x)
    sizes = np.bincount(fit.codes)
    number = np.unique(clusters, return_inverse=True)[1]
    informs = np.bincount(number, weights=fit.x**2) > TINY * square
    if informs.sum() < MINIMUM:
        return None, int(informs.sum())
    scores, loads = [], []
    for cluster in np.flatnonzero(informs):
        rows = np.flatnonzero(number == cluster)
        adjusted = _leverage_adjusted(fit, rows, sizes) / square
        scores.append(float(adjusted @ fit.residual[rows]))
        load = np.zeros(len(fit.x))
        load[rows] = adjusted
        loads.append(demean(load, fit.codes) - fit.basis @ (fit.basis.T @ load))
    gram = np.array(loads) @ np.array(loads).T
    df = float(np.trace(gram) ** 2 / np.sum(gram**2))
    return t_interval(fit.slope, float(np.linalg.norm(scores)), df, len(scores)), len(scores)


def _leverage_adjusted(fit: _Fit, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(I - H)^(-1/2) x over a cluster's rows, H its block of the hat matrix, directions with leverage 1 left out.

    H = Q Q^T, one column of Q a fixed effect or regressor: few columns, so its singular vectors replace those of H.
    """
    own, place = np.unique(fit.codes[rows], return_inverse=True)
    effects = np.zeros((len(rows), len(own)))
    effects[np.arange(len(rows)), place] = 1 / np.sqrt(sizes[fit.codes[rows]])
    q, x = np.column_stack([effects, fit.basis[rows]]), fit.x[rows]
    vectors, singular, _ = np.linalg.svd(q, full_matrices=False)
    left = 1 - singular**2
    factor = np.where(left > 1e-8, 1 / np.sqrt(np.where(left > 1e-8, left, 1)), 0) - 1
    return np.asarray(x + vectors @ (factor * (vectors.T @ x)))
