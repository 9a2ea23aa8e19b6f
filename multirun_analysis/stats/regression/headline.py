"""The slope of the target on a measure within groups, with an interval that holds where it is printed.

The estimand is the mean of the groups' own slopes, first over the groups of one data cell (dataset, sample size and
noise), then over cells. Two things make the plain t interval too narrow: slopes that differ between cells, and misfit
that the configurations of one width, or depth, or learning rate share. Each has its own interval, and the widest
counts; where there are too few cells or levels for one that is needed, there is none. G groups, C cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import fdtrc

from multirun_analysis.stats.regression.ols import (
    MINIMUM,
    TINY,
    Interval,
    constant,
    demean,
    fit_slope,
    independent,
    t_interval,
)

CELLS_NEEDED = 3  # data cells from which the spread of their slopes gives an interval
SHARED = 0.2  # p value at which misfit shared by a level of an axis is taken to be there
DIFFER = 0.05  # p value at which the slopes of groups are said to differ
CONFIGURATIONS, CELLS, COMBINED = "configurations", "data cells", "combined axes"  # what an interval may rest on


@dataclass(frozen=True)
class Headline:
    """slope: the mean of the slopes of groups, of which lowest and highest are two; points: configurations.

    interval None: undecided, note says why. over: what the interval rests on: configurations, data cells, an axis
    (its levels are the clusters) or all axes within groups combined. differ: p value of equal slopes in all groups;
    shared: axis -> p value of no misfit that configurations of one level share; where there is a test.
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
        if self.interval is None:
            return "undecided"
        return "positive" if self.interval.low > 0 else "negative" if self.interval.high < 0 else "includes 0"

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
    y: np.ndarray,
    x: np.ndarray,
    groups: np.ndarray,
    cells: np.ndarray | None = None,
    axes: Mapping[str, np.ndarray] | None = None,
) -> Headline:
    """y, x: finite configuration means [rows]; groups, cells: codes [rows], cells None: each group is one.

    axes: the axes that vary within groups -> codes [rows]. Groups in which the measure does not vary take no part.
    Over configurations: t, each group with a line of its own. Over data cells: t with C - 1 degrees of freedom on their
    slopes (Ibragimov & Mueller 2010: it holds also where some are known better than others). Over the levels of an
    axis: CR2 with Satterthwaite's degrees of freedom.
    """
    rows = _informative(x, groups)
    y, x = y[rows], x[rows]
    cells = _numbered((groups if cells is None else cells)[rows])
    groups = _numbered(groups[rows])
    points, number, n_cells = len(y), int(groups.max(initial=-1)) + 1, int(cells.max(initial=-1)) + 1
    if number == 0:
        return Headline(None, 0, 0, 0, note="no group holds two configurations that differ in the measure")
    own = np.bincount(groups, weights=demean(x, groups) * y) / np.bincount(groups, weights=demean(x, groups) ** 2)
    weights = _weights(groups, cells)
    found = Headline(float(weights @ own), number, n_cells, points, float(own.min()), float(own.max()))
    if all(constant(y[groups == group]) for group in range(number)):
        return Headline(None, number, n_cells, points, note="the target is the same throughout each group")
    if points < MINIMUM:
        return replace(found, note=f"{points} configurations, an interval needs {MINIMUM}")
    columns = _by_group(x, groups)
    levels = {name: _numbered(codes[rows]) for name, codes in (axes or {}).items()}
    clusters = {name: codes for name, codes in _clusters(levels, points) if codes.max() > 0}
    tested = {name: _explains(y, groups, columns, _levels(codes)) for name, codes in clusters.items()}
    found = replace(found, shared={name: p for name, p in tested.items() if p is not None})
    if number > 1:
        found = replace(found, differ=_explains(y, groups, x[:, None], columns))
    shared = {name: clusters[name] for name, p in found.shared.items() if p <= SHARED}
    if note := _obstacle(found, shared):
        return replace(found, note=note)
    # The mean slope as one coefficient: beside it, what each group's slope differs from it.
    differences = columns[:, :-1] - columns[:, -1:] * (weights[:-1] / weights[-1]) if number > 1 else None
    intervals = {}
    for name, codes in {CONFIGURATIONS: None, **shared}.items():
        fit = fit_slope(y, x, groups=groups, controls=differences, clusters=codes)
        interval = fit.interval if codes is None else fit.clustered
        if interval is not None:
            intervals[name] = interval
    if n_cells >= CELLS_NEEDED:
        slopes = np.bincount(_of_groups(groups, cells), weights=own * weights) * n_cells
        se = float(slopes.std(ddof=1) / np.sqrt(n_cells))
        intervals[CELLS] = t_interval(float(slopes.mean()), se, n_cells - 1, n_cells)
    if not intervals:
        return replace(found, note=f"{points} configurations in {number} groups leave no degree of freedom")
    over = max(intervals, key=lambda name: intervals[name].high - intervals[name].low)
    return replace(found, interval=intervals[over], over=over)


def _obstacle(found: Headline, shared: Mapping[str, np.ndarray]) -> str:
    """Why no interval would hold; empty where one may."""
    if 1 < found.cells < CELLS_NEEDED:
        what = "groups" if found.cells == found.groups else "data cells"
        return (
            f"{found.cells} {what} are too few to say how slopes differ between {what}, an interval needs "
            f"{CELLS_NEEDED}"
        )
    for name, codes in shared.items():
        if (number := int(codes.max()) + 1) < MINIMUM:
            return (
                f"configurations of one {_noun(name)} lie off the line together, and an interval that allows for that "
                f"needs {MINIMUM} such levels, there are {number}"
            )
    return ""


def _noun(axis: str) -> str:
    """`model.width` -> width."""
    return "setting" if axis == COMBINED else axis.rpartition(".")[2].replace("_", " ")


def _clusters(axes: Mapping[str, np.ndarray], points: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each axis, and all of them together where a combination comes more than once."""
    yield from axes.items()
    if len(axes) > 1:
        combined = np.unique(np.column_stack(list(axes.values())), axis=0, return_inverse=True)[1].ravel()
        if combined.max() + 1 < points:
            yield COMBINED, combined


def _numbered(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes, return_inverse=True)[1]


def _of_groups(groups: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """[G]: the cell of each group."""
    return cells[np.unique(groups, return_index=True)[1]]


def _weights(groups: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """[G]: what each group's slope counts in the mean, all cells alike. They sum to 1."""
    of_groups = _of_groups(groups, cells)
    return np.asarray(1 / np.bincount(of_groups)[of_groups] / (cells.max() + 1))


def _informative(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The rows of groups in which the measure varies."""
    if not len(x):
        return np.zeros(0, dtype=bool)
    number = _numbered(groups)
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
