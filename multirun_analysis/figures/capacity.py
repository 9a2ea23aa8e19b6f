"""The capacity of the balls around the initialization and around the origin (claim C6)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of
from multirun_analysis.figures.trend import BAND, LINE, trend
from multirun_analysis.figures.width import ONE_WIDTH
from multirun_analysis.runs.params import WIDTH
from multirun_analysis.stats.design import Design

NAME, TITLE = "capacity_against_width", "Capacity of balls against width"
INIT, ORIGIN = "capacity_init_ball", "capacity_origin_ball"
# Measure and what stands beside it -> its place among the colours, its line, its words.
LINES: dict[tuple[str, str | None], tuple[int, Any, str]] = {
    (ORIGIN, None): (3, "-", "around the origin"),
    (ORIGIN, "closed_form"): (2, ":", "around the origin,\nclosed form (linear)"),
    (INIT, "theorem"): (4, (0, (6, 1.5, 1, 1.5)), "around the initialization,\nmain term of the\ntheorem (depth 1)"),
    (INIT, "upper"): (9, "--", "around the initialization,\nat most (linear)"),
    (INIT, None): (0, "-", "around the initialization"),
    (INIT, "lower"): (9, "--", "around the initialization,\nat least (linear)"),
    (INIT, "first_order"): (7, ":", "around the initialization,\nlinearized network"),
}


def capacity_against_width(frame: pd.DataFrame, design: Design) -> Drawing:
    """Both estimates, the brackets of linear networks, and the references."""
    if WIDTH not in design.axes:
        return Drawing(NAME, TITLE, None, ONE_WIDTH)
    drawn = {names.measure(*key): how for key, how in LINES.items() if names.measure(*key) in frame}
    drawn = {column: how for column, how in drawn.items() if (frame[column] > 0).any()}
    if names.measure(INIT) not in drawn and names.measure(ORIGIN) not in drawn:
        return Drawing(NAME, TITLE, None, f"no network has {names.measure(INIT)} or {names.measure(ORIGIN)}")
    colours = sns.color_palette("colorblind")
    shown = frame[frame[list(drawn)].notna().any(axis=1)]
    panels = panels_of(shown, design.others(WIDTH))
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for column, (colour, dashes, _) in drawn.items():
            trend(axis, rows, WIDTH, column, None, {"": colours[colour]}, linestyle=dashes)
    level_axis(axes, levels_of(shown, WIDTH))
    cut = log_y(axes)
    name_axes(figure, labels.long(WIDTH), "Rademacher complexity")
    lines = {words: {"color": colours[at], "linestyle": dashes, **LINE} for at, dashes, words in drawn.values()}
    legend(figure, [("ball", lines)])
    caption = (
        "Estimates, from below, of the empirical Rademacher complexity of the ball with each network's own radii. "
        f"References are not bounds. {BAND} Both axes are logarithmic.{cut}{panels.note}"
    )
    return Drawing(NAME, TITLE, figure, caption)
