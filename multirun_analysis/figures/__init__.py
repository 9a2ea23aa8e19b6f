"""Frame and results -> matplotlib Figures with captions. Nothing here queries or saves."""

from __future__ import annotations

import pandas as pd

from multirun_analysis.figures.association import gap_against_distance
from multirun_analysis.figures.history import distance_against_step, sampled_runs
from multirun_analysis.figures.style import Drawing, theme
from multirun_analysis.figures.width import distance_against_width, errors_against_width, norm_against_width
from multirun_analysis.stats import Results, derived

__all__ = ["NAMES", "Drawing", "draw", "sampled_runs", "theme"]

NAMES = (
    "gap_against_distance",
    "distance_against_width",
    "errors_against_width",
    "norm_against_width",
    "distance_against_step",
)


def draw(frame: pd.DataFrame, results: Results, histories: pd.DataFrame) -> list[Drawing]:
    """All figures, in the order of the report. One that the data cannot fill has figure None and a reason."""
    frame = derived(frame)
    with theme():
        return [
            gap_against_distance(frame, results),
            distance_against_width(frame, results),
            errors_against_width(frame, results),
            norm_against_width(frame, results),
            distance_against_step(frame, results, histories),
        ]
