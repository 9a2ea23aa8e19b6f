"""How far networks move beside what their linearized twins predict."""

from __future__ import annotations

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.dose import COLOUR_FIRST
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import COLOUR_FIRST as NOISE_FIRST
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of, marks
from multirun_analysis.figures.trend import BAND, LINE, markers_of, trend
from multirun_analysis.runs.params import LINEARIZE, NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.stats.claims.twin_claims import FIGURE
from multirun_analysis.stats.design import Design
from multirun_analysis.stats.twins import OVER_CLOSED_FORM, OVER_TWIN, ratios

TITLE = "Distance over that of the linearized twin"


def distance_over_twin(frame: pd.DataFrame, design: Design) -> Drawing:
    """Claim O1b: over the width, else the sample size, else the noise level; the other axes are colours and panels."""
    if LINEARIZE not in design.axes:
        return Drawing(FIGURE, TITLE, None, "the experiment does not have both networks and linearized twins")
    if other := next((axis for axis, first in design.aliases.items() if first == LINEARIZE), ""):
        return Drawing(FIGURE, TITLE, None, f"{other} moves together with {LINEARIZE}")
    pairs, others = ratios(frame, design), design.others(LINEARIZE)
    x = next((axis for axis in (WIDTH, TRAIN_SIZE, NOISE_LEVEL) if axis in others), None)
    if x is None:
        return Drawing(FIGURE, TITLE, None, "neither width nor noise level nor sample size varies")
    if pairs.empty:
        return Drawing(FIGURE, TITLE, None, "no network has a linearized twin")
    role = roles([axis for axis in others if axis != x], NOISE_FIRST if x == WIDTH else COLOUR_FIRST)
    kinds = {OVER_TWIN: ("linearized twin", "-"), OVER_CLOSED_FORM: ("closed form", "--")}
    kinds = {column: kind for column, kind in kinds.items() if column in pairs and pairs[column].gt(0).any()}
    colours, panels = role.palette(pairs), panels_of(pairs, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        axis.axhline(1, color="0.35", linewidth=0.9)
        for column, (_, dashes) in kinds.items():
            trend(axis, rows, x, column, role.colour, colours, linestyle=dashes, seeds=column == OVER_TWIN)
    if x != NOISE_LEVEL:
        level_axis(axes, levels_of(pairs, x))
    cut = log_y(axes)
    name_axes(figure, labels.long(x), "measured over predicted distance")
    styles = {text: {"color": "0.35", "linestyle": dashes, **LINE} for text, dashes in kinds.values()}
    legend(figure, [*role.block(marks(colours, markers_of(colours), **LINE)), ("predicted by", styles)])
    closed = ""
    if OVER_CLOSED_FORM in kinds:
        lazy = names.measure("lazy_distance")
        closed = f" Dashed: divided by {lazy}, how far the twin would move to fit all targets exactly."
    caption = (
        "Each network's distance divided by that of its linearized twin, which was trained in the same way. Points are "
        f"pairs of one seed. Below 1 the network moved less far than predicted.{closed} {BAND}{cut}{panels.note}"
    )
    return Drawing(FIGURE, TITLE, figure, caption)
