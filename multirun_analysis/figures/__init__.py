"""Frame and results -> matplotlib Figures with captions. Nothing here queries or saves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from multirun_analysis.figures import association
from multirun_analysis.figures.association import gap_against_distance
from multirun_analysis.figures.bounds import bounds_and_gap
from multirun_analysis.figures.capacity import capacity_against_width
from multirun_analysis.figures.dose import (
    distance_against_depth,
    distance_against_noise,
    distance_against_train_size,
    distance_against_width,
)
from multirun_analysis.figures.heatmaps import correlations, tau_by_axis
from multirun_analysis.figures.history import distance_against_loss, distance_against_step, sampled_runs
from multirun_analysis.figures.intervention import gap_against_imposed_distance
from multirun_analysis.figures.layers import movement_by_layer
from multirun_analysis.figures.league import league
from multirun_analysis.figures.measures import gap_against_measures
from multirun_analysis.figures.seeds import spread_over_seeds
from multirun_analysis.figures.style import Drawing, theme
from multirun_analysis.figures.twins import distance_over_twin
from multirun_analysis.figures.width import errors_against_width, norm_against_width
from multirun_analysis.runs.arms import observed
from multirun_analysis.runs.params import LINEARIZE
from multirun_analysis.stats import Results, derived

__all__ = [
    "Drawing",
    "bounds_and_gap",
    "capacity_against_width",
    "correlations",
    "distance_against_depth",
    "distance_against_loss",
    "distance_against_noise",
    "distance_against_step",
    "distance_against_train_size",
    "distance_against_width",
    "distance_over_twin",
    "draw",
    "drawings",
    "errors_against_width",
    "gap_against_distance",
    "gap_against_imposed_distance",
    "gap_against_measures",
    "league",
    "movement_by_layer",
    "norm_against_width",
    "sampled_runs",
    "spread_over_seeds",
    "tau_by_axis",
    "theme",
]


def draw(frame: pd.DataFrame, results: Results, histories: pd.DataFrame) -> list[Drawing]:
    """All figures, in the order of the report. One that the data cannot fill has figure None and a reason."""
    with theme():
        return [task() for task in drawings(frame, results, histories)]


def drawings(frame: pd.DataFrame, results: Results, histories: pd.DataFrame) -> list[Callable[[], Drawing]]:
    """As `draw`, each figure still to be drawn, under `theme`, here or in another process."""
    frame, design = derived(observed(frame)), results.design
    table = results.league
    of_networks = (
        distance_against_width,
        norm_against_width,
        distance_against_train_size,
        distance_against_noise,
        distance_against_depth,
        *([distance_over_twin] if LINEARIZE in design.axes else []),
        errors_against_width,
        capacity_against_width,
        movement_by_layer,
    )
    of_league = (
        [
            partial(league, {"": table}),
            partial(gap_against_measures, frame, table),
            partial(tau_by_axis, table),
            partial(correlations, frame, table),
        ]
        if table
        else []
    )
    return [
        *of_league,
        partial(association.of_results, results),
        *(partial(figure, frame, design, results.target) for figure in (spread_over_seeds, bounds_and_gap)),
        *(partial(figure, frame, design) for figure in of_networks),
        *(partial(figure, frame, design, histories) for figure in (distance_against_step, distance_against_loss)),
        *([partial(gap_against_imposed_distance, results)] if results.interventions else []),
    ]
