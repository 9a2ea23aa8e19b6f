"""From bootstrap replicates to intervals, from differences to simultaneous ones, from p values to Holm's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from multirun_analysis.stats.league.league_types import Difference, Estimate
from multirun_analysis.stats.regression.ols import CONFIDENCE, MINIMUM

COVERED = 20  # configurations from which coverage of an interval is claimed
ALL_AGREE = "every pair agrees: a one-sided bound"
NEARLY_ONE = 0.99  # beyond it the z scale is not stretched further


def correlation_interval(value: float, variance: float, points: int, pairs: int = 0) -> Estimate:
    """A pair statistic in [-1, 1] from its sampling variance (pairs.variance): a t interval on Fisher's z scale.

    t with points - 1 degrees of freedom; the variance is carried to that scale by the delta method. Where every pair
    agrees there is no variance: the bound is that of the share of agreeing pairs, of `pairs` that have no configuration
    in common (Clopper & Pearson 1934), so 2 x 0.05^(1/pairs) - 1 where all agree.
    """
    if not np.isfinite(value):
        return Estimate(None, points=points, note="every pair is tied or undefined")
    estimate = Estimate(float(value), points=points)
    if points < MINIMUM:
        return replace(estimate, note=f"{points} configurations, but an interval needs at least {MINIMUM}")
    if variance <= 0:
        return _at_the_end(estimate, pairs)
    inner = min(abs(float(value)), NEARLY_ONE)
    half = float(stdtrit(points - 1, 0.5 + CONFIDENCE / 2)) * float(np.sqrt(variance)) / (1 - inner**2)
    low, high = np.tanh([np.copysign(np.arctanh(inner), value) - half, np.copysign(np.arctanh(inner), value) + half])
    return replace(estimate, low=min(value, float(low)), high=max(value, float(high)), covered=points >= COVERED)


def _at_the_end(estimate: Estimate, pairs: int) -> Estimate:
    if pairs < 1 or estimate.value is None or abs(estimate.value) < 1 - 1e-9:
        return replace(estimate, note="the spread is unknown")
    bound = 2 * (1 - CONFIDENCE) ** (1 / pairs) - 1
    low, high = (bound, 1.0) if estimate.value > 0 else (-1.0, -bound)
    return replace(estimate, low=low, high=high, covered=False, note=ALL_AGREE)


def differences_from_leader(
    leader: str, values: np.ndarray, se: np.ndarray, replicates: np.ndarray, defined: np.ndarray
) -> list[Difference | None]:
    """Leader less each measure [K], with standard errors [K] and bootstrap replicates [B, K]; defined [K]: which.

    Simultaneous intervals: difference +- c se, c = 95% quantile over resamples of the largest studentized deviation
    over the measures (max-T). A measure that never differs from the leader does not enter.
    """
    results: list[Difference | None] = [None] * len(values)
    spread, known = np.zeros(len(values)), np.isfinite(replicates).sum(axis=0) > 1
    spread[known] = np.nanstd(replicates[:, known], axis=0, ddof=1)
    moving = defined & np.isfinite(values) & (se > 1e-12) & (spread > 1e-12)
    if moving.any():
        scaled = np.abs(replicates[:, moving] - values[moving]) / spread[moving]
        largest = np.where(np.isfinite(scaled), scaled, 0).max(axis=1)
        critical = float(np.quantile(largest, CONFIDENCE))
    for k in np.flatnonzero(defined & np.isfinite(values)):
        value = float(values[k])
        if moving[k]:
            p = float((1 + np.sum(largest >= abs(value) / se[k])) / (1 + len(largest)))
            half = critical * float(se[k])
            results[k] = Difference(leader, value, value - half, value + half, p)
        elif len(replicates) > 1 and value == 0:
            results[k] = Difference(leader, value, value, value, 1.0)
        else:
            results[k] = Difference(leader, value, None, None, None)
    return results


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979): valid under any dependence."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(item) for item in adjusted]
