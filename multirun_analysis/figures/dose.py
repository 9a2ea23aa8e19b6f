"""The distance over the width, the number of training samples and the noise level."""

from __future__ import annotations

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import STILL, grid, name_axes, panels_of
from multirun_analysis.figures.roles import Roles, roles
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of, marks
from multirun_analysis.figures.trend import BAND, LINE, markers_of, trend
from multirun_analysis.runs.params import DEPTH, NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.stats.design import Design

# Axis -> figure, title, what it is called where it does not vary.
DOSES = {
    WIDTH: ("distance_against_width", "Distance against width", "the width"),
    TRAIN_SIZE: ("distance_against_train_size", "Distance against training samples", labels.long(TRAIN_SIZE)),
    NOISE_LEVEL: ("distance_against_noise", "Distance against noise level", labels.long(NOISE_LEVEL)),
    DEPTH: ("distance_against_depth", "Distance against depth", "the depth"),
}
LINEAR = (NOISE_LEVEL, DEPTH)
COLOUR_FIRST = (WIDTH, DEPTH, "loss.name", "optimizer.name")


def distance_against_width(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim C1."""
    return _distance(frame, design, WIDTH, roles(design.others(WIDTH)))


def distance_against_train_size(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim C3."""
    return _distance(frame, design, TRAIN_SIZE, roles(design.others(TRAIN_SIZE), COLOUR_FIRST))


def distance_against_noise(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim C4: the level's axis is linear."""
    return _distance(frame, design, NOISE_LEVEL, roles(design.others(NOISE_LEVEL), COLOUR_FIRST))


def distance_against_depth(frame: pd.DataFrame, design: Design) -> Drawing:
    """The depth's axis is linear."""
    return _distance(frame, design, DEPTH, roles(design.others(DEPTH), (WIDTH, NOISE_LEVEL)))


def _distance(frame: pd.DataFrame, design: Design, dose: str, role: Roles) -> Drawing:
    """Seeds as points, mean and band; the distance is logarithmic."""
    name, title, what = DOSES[dose]
    if dose not in design.axes:
        return Drawing(name, title, None, f"{what} {STILL}")
    colours, panels = role.palette(frame), panels_of(frame, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        trend(axis, rows, dose, names.DISTANCE, role.colour, colours, seeds=True)
    if dose not in LINEAR:
        level_axis(axes, levels_of(frame, dose))
    cut = log_y(axes)
    name_axes(figure, labels.long(dose), labels.long(names.DISTANCE))
    legend(figure, role.block(marks(colours, markers_of(colours), **LINE)))
    scale = "The vertical axis is logarithmic." if dose in LINEAR else "Both axes are logarithmic."
    return Drawing(name, title, figure, f"Points: single networks. {BAND} {scale}{cut}{panels.note}")
