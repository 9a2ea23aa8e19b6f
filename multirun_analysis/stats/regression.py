"""The association of the target with one measure, within groups first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.params import WIDTH
from multirun_analysis.stats.design import Design, codes, configurations, hyperparameters
from multirun_analysis.stats.ols import Slope, fit_slope
from multirun_analysis.stats.prediction import Prediction, predict
from multirun_analysis.stats.rank import Tau, kendall_within

CLUSTERED = 2_000
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
    within: Slope  # an intercept for each group
    groups: tuple[GroupSlope, ...]
    controlled: Slope  # all axes as linear controls, log width too
    controls: tuple[str, ...]
    across_seeds: Slope  # an intercept for each configuration
    width_only: Slope  # all axes but width fixed: confounded with width itself
    pooled: Slope  # one intercept: a description
    tau_within: Tau
    tau_pooled: Tau
    prediction: Prediction
    left_out: int  # configurations where the measure is missing or not finite


def associate(
    frame: pd.DataFrame,
    design: Design,
    target: str,
    measure: str,
    seed_columns: Sequence[str],
    *,
    by_group: bool = True,
) -> Association:
    """frame: one row a network. Only networks where both target and measure are finite take part.

    by_group: also each group's own slope.
    """
    finite = np.isfinite(frame[[target, measure]].to_numpy(dtype=float)).all(axis=1)
    rows = frame[finite]
    means = configurations(rows, design)
    y, x = (means[column].to_numpy(dtype=float) for column in (target, measure))
    groups = codes(means, design.group_axes)
    each = _by_group(means, design, y, x, groups) if by_group else []
    clusters = codes(means, [axis for axis in CLUSTERS if axis in design.axes])
    controls, labels = hyperparameters(means, design)
    one = np.zeros(len(means), dtype=np.int64)
    return Association(
        target,
        measure,
        within=fit_slope(y, x, groups=groups, clusters=clusters),
        groups=tuple(each),
        controlled=fit_slope(y, x, controls=controls, clusters=clusters),
        controls=tuple(labels),
        across_seeds=_across_seeds(rows, design, target, measure, seed_columns),
        width_only=_width_only(means, design, y, x, clusters),
        pooled=fit_slope(y, x),
        tau_within=kendall_within(x, y, groups),
        tau_pooled=kendall_within(x, y, one),
        prediction=predict(means, design, target, measure),
        left_out=len(np.unique(codes(frame, design.axes))) - len(means),
    )


def _by_group(
    means: pd.DataFrame, design: Design, y: np.ndarray, x: np.ndarray, groups: np.ndarray
) -> list[GroupSlope]:
    results = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        values = {axis: means[axis].iloc[rows[0]] for axis in design.group_axes}
        slope = fit_slope(y[rows], x[rows], minimum=MINIMUM_IN_GROUP)
        results.append(GroupSlope(values, slope, kendall_within(x[rows], y[rows], groups[rows])))
    return results


def _across_seeds(rows: pd.DataFrame, design: Design, target: str, measure: str, seed_columns: Sequence[str]) -> Slope:
    """Networks of one configuration differ in their seeds only; seeds are shared across cells, hence the clusters.

    Beyond CLUSTERED networks there is no clustered repetition: its cost grows with the cube of a seed's networks.
    """
    return fit_slope(
        rows[target].to_numpy(dtype=float),
        rows[measure].to_numpy(dtype=float),
        groups=codes(rows, design.axes),
        clusters=codes(rows, seed_columns) if len(rows) <= CLUSTERED else None,
        unit="networks",
    )


def _width_only(means: pd.DataFrame, design: Design, y: np.ndarray, x: np.ndarray, clusters: np.ndarray) -> Slope:
    if WIDTH not in design.axes:
        return Slope(None, 0, 0, note="the width does not vary")
    return fit_slope(y, x, groups=codes(means, design.others(WIDTH)), clusters=clusters)
