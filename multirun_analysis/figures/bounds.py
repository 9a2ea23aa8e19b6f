"""Generalization bounds and the gap that they bound, on one axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import DASHES, Drawing, legend, levels_of
from multirun_analysis.figures.trend import BAND, LINE, trend
from multirun_analysis.runs.params import TRAIN_SIZE, WIDTH
from multirun_analysis.stats.design import Design

NAME, TITLE = "bounds_and_gap", "Bounds and the gap"
FULL = "_full"  # the ending of a bound with all its constants
MAXIMUM = 8


def bounds_and_gap(frame: pd.DataFrame, design: Design, target: str) -> Drawing:
    """Every bound with its constants, and the gap, over the sample size or the width."""
    prefix = names.MEASURE
    found = [
        str(column)
        for column in frame
        if str(column).startswith(prefix) and str(column).endswith(FULL) and np.isfinite(frame[column]).any()
    ]
    x = next((axis for axis in (TRAIN_SIZE, WIDTH) if axis in design.axes), None)
    if not found:
        return Drawing(NAME, TITLE, None, "no network has a bound with its constants (measures=bounds)")
    if x is None:
        return Drawing(NAME, TITLE, None, "neither sample size nor width varies")
    found = sorted(found, key=lambda column: frame[column].median())[:MAXIMUM]
    colours = dict(zip(found, sns.color_palette("colorblind", len(found)), strict=True))
    panels = panels_of(frame, design.others(x))
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for place, column in enumerate(found):
            trend(axis, rows, x, column, None, {"": colours[column]}, linestyle=DASHES[place % len(DASHES)])
        trend(axis, rows, x, target, None, {"": "0.1"})
        axis.axhline(1, color="0.5", linewidth=0.9, linestyle=":")
    level_axis(axes, levels_of(frame, x))
    cut = log_y(axes)
    name_axes(figure, labels.long(x), "bound, gap (fractions)")
    entries = {
        column.removeprefix(prefix).removesuffix(FULL): {
            "color": colours[column], "linestyle": DASHES[place % len(DASHES)], **LINE,
        }
        for place, column in enumerate(found)
    }  # fmt: skip
    legend(figure, [("bound", entries), ("", {labels.long(target): {"color": "0.1", **LINE}})])
    caption = (
        "Each bound with all its constants, and the gap itself (black). A bound above the dotted line at 1 says "
        f"nothing: no error is larger than 1. {BAND} Both axes are logarithmic.{cut}{panels.note}"
    )
    return Drawing(NAME, TITLE, figure, caption)
