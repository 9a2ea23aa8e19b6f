"""The distance over the number of training samples, and over the noise level."""

from __future__ import annotations

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of, marks, palette
from multirun_analysis.figures.trend import BAND, LINE, markers_of, trend
from multirun_analysis.runs.params import NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.stats.design import Design


def distance_against_train_size(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim C3: seeds as points, mean and band, log-log."""
    return _dose(frame, design, "distance_against_train_size", "Distance against training samples", TRAIN_SIZE)


def distance_against_noise(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim C4: seeds as points, mean and band; logarithmic distance over the level."""
    return _dose(frame, design, "distance_against_noise", "Distance against noise level", NOISE_LEVEL)


def _dose(frame: pd.DataFrame, design: Design, name: str, title: str, dose: str) -> Drawing:
    if dose not in design.axes:
        return Drawing(name, title, None, f"{labels.long(dose)} does not vary (or moves together with another axis)")
    role = roles(design.others(dose), (WIDTH, "model.depth", "loss.name", "optimizer.name"))
    colours = palette(levels_of(frame, role.colour)) if role.colour else {}
    panels = panels_of(frame, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        trend(axis, rows, dose, names.DISTANCE, role.colour, colours, seeds=True)
    if dose == TRAIN_SIZE:
        level_axis(axes, levels_of(frame, dose))
    cut = log_y(axes)
    name_axes(figure, labels.long(dose), labels.long(names.DISTANCE))
    legend(figure, [(labels.short(role.colour), marks(colours, markers_of(colours), **LINE))] if role.colour else [])
    scale = "Both axes logarithmic." if dose == TRAIN_SIZE else "Vertical axis logarithmic."
    return Drawing(name, title, figure, f"Points: single networks. {BAND} {scale}{cut}{panels.note}")
