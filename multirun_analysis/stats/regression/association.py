"""The association of the target with one measure, within groups first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.runs.params import WIDTH
from multirun_analysis.stats.design import Design, codes
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.ranks.kendall import Tau, kendall_within
from multirun_analysis.stats.regression.headline import Headline, headline
from multirun_analysis.stats.regression.left_out import LeftOut, left_out
from multirun_analysis.stats.regression.ols import Slope, demean, fit_slope, fit_slopes, independent
from multirun_analysis.stats.regression.prediction import Prediction, predict

CLUSTERED = 2_000  # networks that the slope across seeds is taken from; of more a part is drawn
MINIMUM_IN_GROUP = 3  # configurations for a group's own interval
CLUSTERS = ("dataset.name", "dataset.train_size", "noise.name", "noise.level")  # cells that share misfit


@dataclass(frozen=True)
class GroupSlope:
    """One group's own slope over its configurations."""

    group: dict[str, Any]
    slope: Slope
    tau: Tau


@dataclass(frozen=True)
class Association:
    """All slopes are of the target on the measure, on configuration means but for across_seeds (networks)."""

    target: str
    measure: str
    headline: Headline  # the mean over groups of their slopes, with an interval that holds
    within: Slope  # one slope, an intercept for each group
    groups: tuple[GroupSlope, ...]
    controlled: Slope  # all axes as linear controls, log width too
    controls: tuple[str, ...]
    across_seeds: Slope  # an intercept for each configuration
    width_only: Slope  # all axes but width fixed: confounded with width itself
    pooled: Slope  # one intercept: a description
    tau_within: Tau
    tau_pooled: Tau
    prediction: Prediction
    beside: LeftOut  # the measure beside the best of several models of the hyperparameters, in groups left out
    unused: int  # configurations where the measure is missing or not finite


@dataclass(frozen=True)
class Slopes:
    """The part of an association that the league table shows."""

    headline: Headline
    within: Slope
    controlled: Slope
    across_seeds: Slope
    width_only: Slope
    pooled: Slope
    prediction: Prediction
    left_out: LeftOut


def associate(
    frame: pd.DataFrame, design: Design, target: str, measure: str, seed_columns: Sequence[str]
) -> Association:
    """frame: one row a network. Only networks where both target and measure are finite take part."""
    values = frame[[target, measure]].to_numpy(dtype=float)
    finite = np.isfinite(values).all(axis=1)
    whole = Grid.of(frame[[*design.axes, *seed_columns]], design)
    grid = whole.where(finite)
    y, x = grid.means(values[finite]).T
    found = slopes(whole, values[:, 0], values[:, 1:], seed_columns)[0]
    return Association(
        target,
        measure,
        headline=found.headline,
        within=found.within,
        groups=tuple(_by_group(grid, y, x)),
        controlled=found.controlled,
        controls=tuple(grid.hyperparameters[1]),
        across_seeds=found.across_seeds,
        width_only=found.width_only,
        pooled=found.pooled,
        tau_within=kendall_within(x, y, grid.groups),
        tau_pooled=kendall_within(x, y, np.zeros(len(grid), dtype=np.int64)),
        prediction=found.prediction,
        beside=found.left_out,
        unused=len(whole) - len(grid),
    )


def slopes(grid: Grid, y: np.ndarray, values: np.ndarray, seed_columns: Sequence[str]) -> list[Slopes]:
    """Of the target y [networks] on each measure of values [networks, K], over the networks where both are finite.

    Measures that are finite for the same networks share one factorization of fixed effects, controls and clusters.
    """
    shared: dict[bytes, list[int]] = {}
    finite = np.isfinite(values) & np.isfinite(y)[:, None]
    for k, use in enumerate(finite.T):
        shared.setdefault(use.tobytes(), []).append(k)
    results: dict[int, Slopes] = {}
    for columns in shared.values():
        use = finite[:, columns[0]]
        found = _slopes(grid.where(use), y[use], values[use][:, columns], seed_columns)
        results.update(zip(columns, found, strict=True))
    return [results[k] for k in range(values.shape[1])]


def _slopes(grid: Grid, y: np.ndarray, x: np.ndarray, seed_columns: Sequence[str]) -> list[Slopes]:
    """y [networks] and x [networks, K] all finite."""
    mean_y, mean_x = grid.mean(y), grid.means(x)
    clusters = grid.by(*(axis for axis in CLUSTERS if axis in grid.design.axes))
    data = {axis: grid.by(axis) for axis in CLUSTERS if axis in grid.design.group_axes}
    axes = {axis: grid.by(axis) for axis in grid.design.within_axes}
    found = (
        [headline(mean_y, column, grid.groups, data, axes) for column in mean_x.T],
        fit_slopes(mean_y, mean_x, groups=grid.groups, clusters=clusters),
        fit_slopes(mean_y, mean_x, controls=grid.hyperparameters[0], clusters=clusters),
        _across_seeds(grid, y, x, seed_columns),
        _width_only(grid, mean_y, mean_x, clusters),
        fit_slopes(mean_y, mean_x),
        predict(grid, mean_y, mean_x),
        left_out(grid, mean_y, mean_x),
    )
    return [Slopes(*items) for items in zip(*found, strict=True)]


def _by_group(grid: Grid, y: np.ndarray, x: np.ndarray) -> list[GroupSlope]:
    results = []
    for group in np.unique(grid.groups):
        rows = np.flatnonzero(grid.groups == group)
        values = {axis: grid.one[axis].iloc[rows[0]] for axis in grid.design.group_axes}
        slope = fit_slope(y[rows], x[rows], minimum=MINIMUM_IN_GROUP)
        results.append(GroupSlope(values, slope, kendall_within(x[rows], y[rows], np.zeros(len(rows)))))
    return results


def _across_seeds(grid: Grid, y: np.ndarray, x: np.ndarray, seed_columns: Sequence[str]) -> list[Slope]:
    """Networks of one configuration differ in their seeds only.

    Configurations of one data cell share a seed's samples, and with them what is easy or hard about these: each seed
    has an intercept of its own in each data cell. The noise may differ between configurations, and what the
    initialization does to a width is shared over all data: both are clusters, and the wider interval counts.
    """
    use = _drawn(grid)
    grid, y, x = grid.where(use), y[use], x[use]
    seeds = codes(grid.networks, seed_columns)
    cells = grid.by(*(axis for axis in CLUSTERS if axis in grid.design.axes))[grid.code]
    shape = grid.by(*(axis for axis in grid.design.axes if axis not in CLUSTERS))[grid.code]
    spanned = _of_seeds(grid.code, cells, seeds)
    found = [
        fit_slopes(y, x, groups=grid.code, spanned=spanned, clusters=clusters, unit="networks")
        for clusters in (grid.code, shape * (seeds.max(initial=0) + 1) + seeds)
    ]
    return [max(items, key=_width) for items in zip(*found, strict=True)]


def _drawn(grid: Grid) -> np.ndarray:
    """[networks] mask: configurations of two networks or more, CLUSTERED networks at most, drawn by a fixed seed."""
    sizes = np.bincount(grid.code)
    order = np.random.default_rng(0).permutation(len(sizes)) if sizes.sum() > CLUSTERED else np.arange(len(sizes))
    kept = np.zeros(len(sizes), dtype=bool)
    kept[order] = np.cumsum(sizes[order]) <= max(CLUSTERED, sizes[order[0]])
    return np.asarray((kept & (sizes > 1))[grid.code])


def _of_seeds(code: np.ndarray, cells: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """[networks, rank] orthonormal basis of an intercept for each seed in each cell, within configurations.

    In a cell with one configuration a seed's intercept would be its network.
    """
    blocks = []
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        if len(np.unique(code[rows])) < 2:
            continue
        levels = (seeds[rows, None] == np.unique(seeds[rows])).astype(float)
        basis = independent(demean(levels, np.unique(code[rows], return_inverse=True)[1]))
        block = np.zeros((len(code), basis.shape[1]))
        block[rows] = basis
        blocks.append(block)
    return np.column_stack(blocks) if blocks else np.empty((len(code), 0))


def _width(slope: Slope) -> float:
    """Of the clustered interval; a slope without one comes last."""
    return -1.0 if slope.clustered is None else slope.clustered.high - slope.clustered.low


def _width_only(grid: Grid, y: np.ndarray, x: np.ndarray, clusters: np.ndarray) -> list[Slope]:
    if WIDTH not in grid.design.axes:
        return [Slope(None, 0, 0, note="the width does not vary")] * x.shape[1]
    return fit_slopes(y, x, groups=grid.but(WIDTH), clusters=clusters)
