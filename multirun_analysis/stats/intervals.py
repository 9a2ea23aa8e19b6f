"""From bootstrap replicates to intervals, from differences to simultaneous ones, from p values to Holm's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from multirun_analysis.stats.ols import CONFIDENCE, MINIMUM
from multirun_analysis.stats.standings import Difference, Estimate

COVERED = 20  # configurations from which coverage of an interval is claimed
ENOUGH = 0.5  # share of resamples in which a statistic must be defined


def correlation_interval(replicates: np.ndarray, points: int, df: int | None = None) -> Estimate:
    """A correlation-like statistic in [-1, 1] from its replicates [1 + B], the sample's own first.

    Bootstrap standard error on Fisher's z scale, a t quantile with df (points - 1) degrees of freedom, and back.
    """
    value = float(replicates[0])
    if not np.isfinite(value):
        return Estimate(None, points=points, note="every pair is tied or undefined")
    estimate = Estimate(value, points=points)
    if points < MINIMUM:
        return replace(estimate, note=f"{points} configurations, an interval needs {MINIMUM}")
    drawn = replicates[1:][np.isfinite(replicates[1:])]
    if len(drawn) < max(2, ENOUGH * (len(replicates) - 1)):
        return replace(estimate, note="undefined in most resamples" if len(replicates) > 1 else "not resampled")
    scale = np.arctanh(np.clip(np.append(drawn, value), -0.9999, 0.9999))
    half = float(stdtrit(df or points - 1, 0.5 + CONFIDENCE / 2)) * float(np.std(scale[:-1], ddof=1))
    low, high = np.tanh([scale[-1] - half, scale[-1] + half])
    return replace(estimate, low=min(value, float(low)), high=max(value, float(high)), covered=points >= COVERED)


def differences_from_leader(leader: str, replicates: np.ndarray, defined: np.ndarray) -> list[Difference | None]:
    """replicates [1 + B, K]: leader less each measure, the sample's own first. defined [K]: which to compare.

    Simultaneous intervals: difference +- c se, c = 95% quantile over resamples of the largest |deviation|/se over the
    measures (max-T). A measure that never differs from the leader has difference 0 and does not enter.
    """
    value, drawn = replicates[0], replicates[1:]
    results: list[Difference | None] = [None] * len(value)
    use = [k for k in np.flatnonzero(defined) if len(drawn) > 1 and np.isfinite(drawn[:, k]).mean() >= ENOUGH]
    se = {k: float(np.nanstd(drawn[:, k], ddof=1)) for k in use}
    moving = [k for k in use if se[k] > 1e-12]
    if moving:
        scaled = np.abs(drawn[:, moving] - value[moving]) / np.array([se[k] for k in moving])
        largest = np.nanmax(np.where(np.isfinite(scaled), scaled, 0), axis=1)
        critical = float(np.quantile(largest, CONFIDENCE))
    for k in np.flatnonzero(defined):
        if not np.isfinite(value[k]):
            continue
        item = Difference(leader, float(value[k]), None, None, None)
        if k in moving:
            p = float((1 + np.sum(largest >= abs(value[k]) / se[k])) / (1 + len(largest)))
            item = replace(item, low=item.value - critical * se[k], high=item.value + critical * se[k], p=p)
        elif k in use:
            item = replace(item, low=item.value, high=item.value, p=1.0)
        results[k] = item
    return results


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979): valid under any dependence."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(item) for item in adjusted]
