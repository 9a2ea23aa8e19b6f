"""The slope of the target on a measure within groups, with an interval that holds where it is printed.

The estimand is the mean over groups of each group's own slope. Two things make the plain t interval too narrow: slopes
that differ between groups, and misfit that the configurations of one width share. Each has its own interval, and the
widest counts; where there are too few groups or widths for one that is needed, there is none. G groups, W widths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc

from multirun_analysis.stats.ols import MINIMUM, TINY, Interval, demean, fit_slope, independent, t_interval

GROUPS = 3  # groups from which the spread of their slopes gives an interval
SHARED = 0.2  # p value at which misfit shared by a width is taken to be there
DIFFER = 0.05  # p value at which the slopes of groups are said to differ
CONFIGURATIONS, OVER_GROUPS, OVER_WIDTHS = "configurations", "groups", "widths"


@dataclass(frozen=True)
class Headline:
    """slope: the mean over groups of their own slopes, of which lowest and highest are two; points: configurations.

    interval None: undecided, note says why. over: what the interval rests on: configurations, groups or widths.
    differ: p value of equal slopes in all groups; shared: p value of no misfit shared by a width; None: untestable.
    """

    slope: float | None
    groups: int
    points: int
    lowest: float | None = None
    highest: float | None = None
    interval: Interval | None = None
    over: str = ""
    differ: float | None = None
    shared: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """positive | negative (the interval excludes 0) | includes 0 | undecided."""
        if self.interval is None:
            return "undecided"
        return "positive" if self.interval.low > 0 else "negative" if self.interval.high < 0 else "includes 0"

    @property
    def heterogeneous(self) -> bool:
        """Whether the slopes of the groups are shown to differ."""
        return self.differ is not None and self.differ <= DIFFER


def headline(y: np.ndarray, x: np.ndarray, groups: np.ndarray, widths: np.ndarray | None = None) -> Headline:
    """y, x: finite configuration means [rows]; groups, widths: codes [rows]; widths None: the width does not vary.

    Over configurations: t, each group with a line of its own. Over groups: t with G - 1 degrees of freedom on their
    slopes (Ibragimov & Mueller 2010: it holds also where some are known better than others). Over widths: CR2 with
    Satterthwaite's degrees of freedom. Groups in which the measure does not vary take no part.
    """
    rows = _informative(x, groups)
    y, x, groups = y[rows], x[rows], np.unique(groups[rows], return_inverse=True)[1]
    points, number = len(y), int(groups.max(initial=-1)) + 1
    if number == 0:
        return Headline(None, 0, 0, note="no group holds two configurations that differ in the measure")
    spread = np.bincount(groups, weights=demean(x, groups) ** 2)
    own = np.bincount(groups, weights=demean(x, groups) * y) / spread
    found = Headline(float(own.mean()), number, points, float(own.min()), float(own.max()))
    if points < MINIMUM:
        return replace(found, note=f"{points} configurations, an interval needs {MINIMUM}")
    if widths is not None and number > 1:
        widths = np.unique(widths[rows], return_inverse=True)[1]
        found = replace(found, shared=_explains(y, groups, _by_group(x, groups), _levels(widths)))
    if number > 1:
        found = replace(found, differ=_explains(y, groups, x[:, None], _by_group(x, groups)))
    if note := _obstacle(found, None if number == 1 else widths):
        return replace(found, note=note)
    intervals = _intervals(found, y, x, groups, own, spread, None if number == 1 else widths)
    if not intervals:
        return replace(found, note=f"{points} configurations in {number} groups leave no degree of freedom")
    over = max(intervals, key=lambda name: intervals[name].high - intervals[name].low)
    return replace(found, interval=intervals[over], over=over)


def _obstacle(found: Headline, widths: np.ndarray | None) -> str:
    """Why no interval would hold; empty where one may."""
    if 1 < found.groups < GROUPS:
        return f"{found.groups} groups are too few to say how slopes differ between groups, an interval needs {GROUPS}"
    levels = 0 if widths is None else int(widths.max()) + 1
    if 1 < levels < MINIMUM and found.shared is not None and found.shared <= SHARED:
        return (
            f"configurations of one width lie off the line together, and an interval that allows for that needs "
            f"{MINIMUM} widths, there are {levels}"
        )
    return ""


def _intervals(
    found: Headline,
    y: np.ndarray,
    x: np.ndarray,
    groups: np.ndarray,
    own: np.ndarray,
    spread: np.ndarray,
    widths: np.ndarray | None,
) -> dict[str, Interval]:
    assert found.slope is not None
    intervals = {}
    residual = demean(y, groups) - own[groups] * demean(x, groups)
    if (df := found.points - 2 * found.groups) > 0:
        se = float(np.sqrt(residual @ residual / df * np.sum(1 / spread))) / found.groups
        intervals[CONFIGURATIONS] = t_interval(found.slope, se, df, found.points)
    if found.groups >= GROUPS:
        se = float(own.std(ddof=1) / np.sqrt(found.groups))
        intervals[OVER_GROUPS] = t_interval(found.slope, se, found.groups - 1, found.groups)
    if widths is not None:
        clustered = fit_slope(y, x, groups=groups, clusters=widths).clustered
        if clustered is not None:
            intervals[OVER_WIDTHS] = t_interval(found.slope, clustered.se, clustered.df, clustered.points)
    return intervals


def _informative(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The rows of groups in which the measure varies."""
    if not len(x):
        return np.zeros(0, dtype=bool)
    number = np.unique(groups, return_inverse=True)[1]
    spread, size = (np.bincount(number, weights=values**2) for values in (demean(x, number), x))
    return np.asarray((spread > TINY**2 * np.maximum(size, TINY))[number])


def _by_group(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[rows, G]: the measure in a column of its own for each group."""
    return np.where(groups[:, None] == np.arange(groups.max() + 1), x[:, None], 0.0)


def _levels(codes: np.ndarray) -> np.ndarray:
    """[rows, levels - 1] indicators."""
    return (codes[:, None] == np.arange(1, codes.max() + 1)).astype(float)


def _explains(y: np.ndarray, groups: np.ndarray, before: np.ndarray, added: np.ndarray) -> float | None:
    """p value of an F test: do columns `added` explain y beside an intercept for each group and columns `before`?

    None where no column is new, or no degree of freedom is left.
    """
    y = demean(y, groups)
    small = independent(demean(before, groups))
    large = independent(np.column_stack([demean(before, groups), demean(added, groups)]))
    more = large.shape[1] - small.shape[1]
    df = len(y) - (int(groups.max()) + 1) - large.shape[1]
    rest, left = (float(np.sum((y - basis @ (basis.T @ y)) ** 2)) for basis in (small, large))
    if more < 1 or df < 1:
        return None
    if left <= TINY * float(y @ y):
        return 0.0 if rest > TINY * float(y @ y) else 1.0
    return float(fdtrc(more, df, (rest - left) / more / (left / df)))
