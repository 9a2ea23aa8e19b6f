"""What happens to errors and norms as the width grows."""

from __future__ import annotations

import pandas as pd
import seaborn as sns

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import STILL, grid, name_axes, panels_of
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of, marks
from multirun_analysis.figures.trend import BAND, LINE, markers_of, trend
from multirun_analysis.labels import NORM
from multirun_analysis.runs.params import WIDTH
from multirun_analysis.stats.closed_form import initial_norm
from multirun_analysis.stats.design import Design

ONE_WIDTH = f"the width {STILL}"
ENDS = "Bands end at 0% and at 100%."


def errors_against_width(frame: pd.DataFrame, design: Design) -> Drawing:
    """Test error solid, train error dashed."""
    name, title = "errors_against_width", "Errors against width"
    kinds = {names.TEST_ERROR: "-", names.TRAIN_ERROR: "--"}
    if WIDTH not in design.axes:
        return Drawing(name, title, None, ONE_WIDTH)
    if missing := [metric for metric in kinds if metric not in frame]:
        return Drawing(name, title, None, f"no network has {' or '.join(missing)}")
    role = roles(design.others(WIDTH))
    colours = role.palette(frame)
    percent = frame.assign(**{metric: 100 * frame[metric] for metric in kinds})
    panels = panels_of(percent, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for metric, dashes in kinds.items():
            trend(axis, rows, WIDTH, metric, role.colour, colours, linestyle=dashes, bounds=(0, 100))
    axes[0].set_ylim(bottom=min(0, axes[0].get_ylim()[0]))  # of all panels: it fixes the limits that they share
    level_axis(axes, levels_of(frame, WIDTH))
    name_axes(figure, labels.long(WIDTH), "error (%)")
    styles = {labels.long(metric): {"color": "0.35", "linestyle": dashes, **LINE} for metric, dashes in kinds.items()}
    legend(figure, [*role.block(marks(colours, markers_of(colours), **LINE)), ("error", styles)])
    caption = (
        "The test error is against clean labels, the train error against the labels that the networks were trained on. "
        f"{BAND} {ENDS}{panels.note}"
    )
    return Drawing(name, title, figure, caption)


def norm_against_width(frame: pd.DataFrame, design: Design) -> Drawing:
    """Distance from the origin, its closed-form start, and the distance from the initialization on the same axes."""
    name, title = "norm_against_width", "Norm and its start against width"
    if WIDTH not in design.axes:
        return Drawing(name, title, None, ONE_WIDTH)
    if NORM not in frame or not (frame[NORM] > 0).any():
        return Drawing(name, title, None, f"no network has {names.measure('param_norm')}")
    start = "start"
    shown = frame.assign(**{start: [initial_norm(row) for row in frame.to_dict("records")]})
    colour = sns.color_palette("colorblind")
    quantities = {NORM: (colour[3], "-"), start: ("0.15", ":"), names.DISTANCE: (colour[0], "-")}
    if shown[start].isna().all():
        del quantities[start]
    panels = panels_of(shown, design.others(WIDTH))
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for quantity, (shade, dashes) in quantities.items():
            trend(axis, rows, WIDTH, quantity, None, {"": shade}, linestyle=dashes)
    level_axis(axes, levels_of(frame, WIDTH))
    cut = log_y(axes)
    name_axes(figure, labels.long(WIDTH), "ℓ2 norm")
    texts = {
        NORM: "from the origin,\ntrained (weights)",
        start: "from the origin,\nat the start\n(closed form)",
        names.DISTANCE: "from the\ninitialization",
    }
    legend(figure, [("", {texts[q]: {"color": c, "linestyle": d, **LINE} for q, (c, d) in quantities.items()})])
    closed = "The start is sqrt(sum over layers of 2 n_in n_out/(n_in + n_out)) for Xavier initialization."
    without = "The closed form of the start is left out: it is known for Xavier-initialized mlp and linear only."
    caption = f"{closed if start in quantities else without} {BAND} Both axes are logarithmic.{cut}{panels.note}"
    return Drawing(name, title, figure, caption)
