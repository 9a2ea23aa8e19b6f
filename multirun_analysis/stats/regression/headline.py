"""The slope of the target on a measure within groups, with an interval that holds where it is printed.

It is per standard deviation of the measure within a group, so a measure and its multiple in each group have the same.
The estimand is the mean over the groups of one data cell (dataset, sample size and noise), then over cells. What makes
a plain t interval too narrow has an interval of its own each, and the widest counts: slopes that differ between cells,
or between sample sizes (noises, datasets) whatever the rest; misfit that configurations of one width (depth, learning
rate) share; and noise that differs between configurations. G groups, C cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from multirun_analysis.stats.regression.heterogeneity import (
    by_group,
    misfit_shared,
    slopes_differ,
    slopes_differ_by_level,
)
from multirun_analysis.stats.regression.ols import (
    MINIMUM,
    TINY,
    Interval,
    constant,
    demean,
    fit_slope,
    t_interval,
)

FEWEST = 3  # data cells, or levels of an axis, from which their spread gives an interval
SHARED = 0.2  # p value at which what the levels of an axis share is taken to be there
DIFFER = 0.05  # p value at which the slopes of groups are said to differ
CONFIGURATIONS, CELLS, COMBINED = "configurations", "data cells", "combined axes"  # what an interval may rest on

Codes = Mapping[str, np.ndarray]  # axis -> the number of its level [rows]


@dataclass(frozen=True)
class Headline:
    """slope: the mean of the slopes of groups, of which lowest and highest are two; points: configurations.

    All per standard deviation of the measure within a group. interval None: undecided, note says why. over: what the
    interval rests on: configurations, data cells, an axis (its levels are the clusters) or all axes within groups
    combined. differ: p value of equal slopes in all groups; shared: axis -> p value that its levels share nothing, of
    the misfit (axes within groups) or of the slope (axes of the data); where there is a test.
    """

    slope: float | None
    groups: int
    cells: int
    points: int
    lowest: float | None = None
    highest: float | None = None
    interval: Interval | None = None
    over: str = ""
    differ: float | None = None
    shared: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def verdict(self) -> str:
        """positive | negative (the interval excludes 0) | includes 0 | undecided."""
        return "undecided" if self.interval is None else self.interval.side

    @property
    def basis(self) -> str:
        """What the interval rests on, in words: over groups, or clustered by width."""
        if self.over == CELLS and self.cells == self.groups:
            return "over groups"
        return f"over {self.over}" if self.over in (CONFIGURATIONS, CELLS) else f"clustered by {_noun(self.over)}"

    @property
    def heterogeneous(self) -> bool:
        """Whether the slopes of the groups are shown to differ."""
        return self.differ is not None and self.differ <= DIFFER


def headline(
    y: np.ndarray, x: np.ndarray, groups: np.ndarray, data: Codes | None = None, axes: Codes | None = None
) -> Headline:
    """y, x: finite configuration means [rows]; groups: codes [rows].

    data: the axes of the data that groups hold fixed; None: each group is a data cell. axes: those that vary within
    groups. Groups in which the measure does not vary take no part.
    Over data cells, and over the levels of an axis of the data: t on their mean slopes (Ibragimov & Mueller 2010: it
    holds also where some are known better than others). Over configurations: t, each group with a line of its own, and
    CR2, which holds where their noise differs. Over the levels of an axis within groups: CR2 with Satterthwaite's df.
    """
    rows = _informative(x, groups)
    y, groups = y[rows], _numbered(groups[rows])
    x = _standardized(x[rows], groups)
    given = {"": groups} if data is None else {name: _numbered(codes[rows]) for name, codes in data.items()}
    cells = _combined(given, len(y))
    points, number, n_cells = len(y), int(groups.max(initial=-1)) + 1, int(cells.max(initial=-1)) + 1
    if number == 0:
        return Headline(None, 0, 0, 0, note="no group holds two configurations that differ in the measure")
    if all(constant(y[groups == group]) for group in range(number)):
        return Headline(None, number, n_cells, points, note="the target is the same throughout each group")
    own = np.bincount(groups, weights=x * y) / np.bincount(groups, weights=x**2)
    weights = _weights(groups, cells)
    found = Headline(float(weights @ own), number, n_cells, points, float(own.min()), float(own.max()))
    if points < MINIMUM:
        return replace(found, note=f"{points} configurations, but an interval needs at least {MINIMUM}")
    if number > 1:
        found = replace(found, differ=slopes_differ(y, x, groups, own))
    slopes = np.bincount(_of_groups(groups, cells), weights=own * weights) * n_cells
    first = np.unique(cells, return_index=True)[1]
    of_data = {} if data is None else {name: codes[first] for name, codes in given.items()}
    within = dict(_clusters({name: _numbered(codes[rows]) for name, codes in (axes or {}).items()}, points))
    tests = {
        name: slopes_differ_by_level(y, x, groups, given[name], (slopes, codes)) for name, codes in of_data.items()
    } | {name: misfit_shared(y, x, groups, codes) for name, codes in within.items()}
    found = replace(found, shared={name: p for name, p in tests.items() if p is not None})
    levels = {
        name: codes
        for name, codes in {**of_data, **within}.items()
        if found.shared.get(name, 1) <= (DIFFER if name in of_data and codes.max() < FEWEST - 1 else SHARED)
    }
    if note := _obstacle(found, levels, of_data):
        return replace(found, note=note)
    intervals = [
        *_by_misfit(y, x, groups, weights, {name: codes for name, codes in levels.items() if name in within}),
        *_by_spread(slopes, found, {name: codes for name, codes in levels.items() if name in of_data}),
    ]
    if not intervals:
        return replace(found, note=f"{points} configurations in {number} groups leave no degree of freedom")
    over, widest = max(intervals, key=lambda item: item[1].high - item[1].low)
    return replace(found, interval=widest, over=over)


def _by_misfit(
    y: np.ndarray, x: np.ndarray, groups: np.ndarray, weights: np.ndarray, levels: Codes
) -> Iterator[tuple[str, Interval]]:
    """What it rests on, and the interval: configurations, or the levels of an axis within groups as clusters."""
    # The mean slope as one coefficient: beside it, what each group's slope differs from it.
    columns = by_group(x, groups)
    differences = columns[:, :-1] - columns[:, -1:] * (weights[:-1] / weights[-1]) if len(weights) > 1 else None
    for name, clusters in {CONFIGURATIONS: np.arange(len(y)), **levels}.items():
        fit = fit_slope(y, x, groups=groups, controls=differences, clusters=clusters, fewest=FEWEST)
        known = (fit.interval, fit.clustered) if name == CONFIGURATIONS else (fit.clustered,)
        yield from ((name, interval) for interval in known if interval is not None)


def _by_spread(slopes: np.ndarray, found: Headline, levels: Codes) -> Iterator[tuple[str, Interval]]:
    """The same over the mean slopes of data cells [C], and of the levels [C] of each axis of the data."""
    means = {name: np.bincount(codes, weights=slopes) / np.bincount(codes) for name, codes in levels.items()}
    for name, values in {CELLS: slopes, **means}.items():
        if (count := len(values)) >= FEWEST and found.slope is not None:
            se = float(values.std(ddof=1) / np.sqrt(count))
            yield name, t_interval(found.slope, se, count - 1, count)


def _obstacle(found: Headline, levels: Codes, of_data: Codes) -> str:
    """Why no interval would hold; empty where one may."""
    if 1 < found.cells < FEWEST:
        what = "groups" if found.cells == found.groups else "data cells"
        few = f"{found.cells} {what} are too few to say how slopes differ between {what}"
        return f"{few}; an interval needs at least {FEWEST}"
    if found.cells == 1 and found.groups > 1 and found.heterogeneous:
        return f"the slopes of {found.groups} groups of the same data differ (p = {found.differ:.2g})"
    for name, codes in levels.items():
        if (number := int(codes.max()) + 1) >= FEWEST:
            continue
        p, what = found.shared[name], _noun(name)
        lead = f"slopes differ with {what}" if name in of_data else f"deviations from the line may go with {what}"
        wanted = f"an interval that allows for that needs at least {FEWEST} levels, but there are {number}"
        return f"{lead} (p = {p:.2g}), and {wanted}"
    return ""


def _noun(axis: str) -> str:
    """`model.width` -> width, `dataset.train_size` -> train size."""
    return "the axes together" if axis == COMBINED else axis.rpartition(".")[2].replace("_", " ")


def _clusters(axes: Codes, points: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each axis that varies, and all of them together where a combination comes more than once."""
    yield from ((name, codes) for name, codes in axes.items() if codes.max(initial=0) > 0)
    if len(axes) > 1:
        combined = _combined(axes, points)
        if combined.max() + 1 < points:
            yield COMBINED, combined


def _combined(axes: Codes, rows: int) -> np.ndarray:
    """[rows] numbers of the combinations of levels."""
    columns = np.column_stack([np.zeros(rows), *axes.values()])
    return np.unique(columns, axis=0, return_inverse=True)[1].ravel()


def _numbered(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes, return_inverse=True)[1]


def _of_groups(groups: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """[G]: the cell of each group."""
    return cells[np.unique(groups, return_index=True)[1]]


def _weights(groups: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """[G]: what each group's slope counts in the mean, all cells alike. They sum to 1."""
    of_groups = _of_groups(groups, cells)
    return np.asarray(1 / np.bincount(of_groups)[of_groups] / (cells.max() + 1))


def _standardized(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Less its group's mean, over its group's standard deviation."""
    x = demean(x, groups)
    return np.asarray(x / np.sqrt(np.bincount(groups, weights=x**2) / np.bincount(groups))[groups])


def _informative(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The rows of groups in which the measure varies."""
    if not len(x):
        return np.zeros(0, dtype=bool)
    number = _numbered(groups)
    spread, size = (np.bincount(number, weights=values**2) for values in (demean(x, number), x))
    return np.asarray((spread > TINY**2 * np.maximum(size, TINY))[number])
