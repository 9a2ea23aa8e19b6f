"""What happens to distance, errors and norms as the width grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from initdist import names
from multirun_analysis import labels
from multirun_analysis.closed_form import initial_norm
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import over_width
from multirun_analysis.figures.style import (
    MANY_POINTS,
    Drawing,
    legend,
    level_axis,
    levels_of,
    log_y,
    marks,
    named,
    palette,
    t_bands,
)
from multirun_analysis.params import WIDTH
from multirun_analysis.stats import NORM, Results

ONE_WIDTH = "the width does not vary (or moves together with another axis)"
BAND = "Lines: means over seeds; bands: 95% t intervals of the mean over seeds (none for a single seed)."
LINE = {"linewidth": 1.7}


def distance_against_width(frame: pd.DataFrame, results: Results) -> Drawing:
    """Seeds as points, mean and band, log-log."""
    name, title = "distance_against_width", "Distance against width"
    if WIDTH not in results.design.axes:
        return Drawing(name, title, None, ONE_WIDTH)
    role = over_width(results.design)
    colours = palette(levels_of(frame, role.colour)) if role.colour else {}
    panels = panels_of(frame, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        _trend(axis, rows, names.DISTANCE, role.colour, colours, seeds=True)
    level_axis(axes, levels_of(frame, WIDTH))
    log_y(axes)
    name_axes(figure, labels.long(WIDTH), labels.long(names.DISTANCE))
    legend(figure, [(labels.short(role.colour), marks(colours, marker="o", **LINE))] if role.colour else [])
    return Drawing(name, title, figure, f"Points: single networks. {BAND} Both axes logarithmic.{panels.note}")


def errors_against_width(frame: pd.DataFrame, results: Results) -> Drawing:
    """Test error solid, train error dashed."""
    name, title = "errors_against_width", "Errors against width"
    kinds = {names.TEST_ERROR: "-", names.TRAIN_ERROR: "--"}
    if WIDTH not in results.design.axes:
        return Drawing(name, title, None, ONE_WIDTH)
    if missing := [metric for metric in kinds if metric not in frame]:
        return Drawing(name, title, None, f"no network has {' or '.join(missing)}")
    role = over_width(results.design)
    colours = palette(levels_of(frame, role.colour)) if role.colour else {}
    percent = frame.assign(**{metric: 100 * frame[metric] for metric in kinds})
    panels = panels_of(percent, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for metric, dashes in kinds.items():
            _trend(axis, rows, metric, role.colour, colours, linestyle=dashes)
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
    level_axis(axes, levels_of(frame, WIDTH))
    name_axes(figure, labels.long(WIDTH), "error (%)")
    styles = {labels.long(metric): {"color": "0.35", "linestyle": dashes, **LINE} for metric, dashes in kinds.items()}
    blocks = [("error", styles)]
    if role.colour:
        blocks.insert(0, (labels.short(role.colour), marks(colours, **LINE)))
    legend(figure, blocks)
    caption = f"Test error against clean labels, train error against the labels trained on. {BAND}{panels.note}"
    return Drawing(name, title, figure, caption)


def norm_against_width(frame: pd.DataFrame, results: Results) -> Drawing:
    """Distance from the origin, its closed-form start, and the distance from the initialization on the same axes."""
    name, title = "norm_against_width", "Norm and its start against width"
    if WIDTH not in results.design.axes:
        return Drawing(name, title, None, ONE_WIDTH)
    if NORM not in frame or not (frame[NORM] > 0).any():
        return Drawing(name, title, None, f"no network has {names.measure('param_norm')}")
    start = "start"
    shown = frame.assign(**{start: [initial_norm(row) for row in frame.to_dict("records")]})
    colour = sns.color_palette("colorblind")
    quantities = {NORM: (colour[3], "-"), start: ("0.15", ":"), names.DISTANCE: (colour[0], "-")}
    if shown[start].isna().all():
        del quantities[start]
    panels = panels_of(shown, results.design.others(WIDTH))
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for quantity, (shade, dashes) in quantities.items():
            _trend(axis, rows, quantity, None, {"": shade}, linestyle=dashes)
    level_axis(axes, levels_of(frame, WIDTH))
    log_y(axes)
    name_axes(figure, labels.long(WIDTH), "ℓ2 norm")
    texts = {
        NORM: "from the origin,\ntrained (weights)",
        start: "from the origin,\nat the start\n(closed form)",
        names.DISTANCE: "from the\ninitialization",
    }
    legend(figure, [("", {texts[q]: {"color": c, "linestyle": d, **LINE} for q, (c, d) in quantities.items()})])
    closed = "The start is sqrt(sum over layers of 2 n_in n_out/(n_in + n_out)) for Xavier initialization."
    without = "The closed form of the start is left out: it is known for Xavier-initialized mlp and linear only."
    caption = f"{closed if start in quantities else without} {BAND} Both axes logarithmic.{panels.note}"
    return Drawing(name, title, figure, caption)


def _trend(
    axis: Axes,
    rows: pd.DataFrame,
    metric: str,
    colour_axis: str | None,
    colours: dict[Any, Any],
    linestyle: str = "-",
    seeds: bool = False,
) -> None:
    """Mean line and band over seeds, one for each level of the colour axis; the seeds themselves as points."""
    data = pd.DataFrame({"x": rows[WIDTH].astype(float), "y": rows[metric].astype(float)})
    data["colour"] = named(rows, colour_axis) if colour_axis else "all"
    data = data[data["y"].notna() & data["y"].abs().lt(float("inf"))]
    if data.empty:
        return
    shades = {labels.value(level): shade for level, shade in colours.items()} if colour_axis else {}
    shades = shades or {"all": next(iter(colours.values()), "C0")}
    palette = {level: shades[level] for level in data["colour"].unique()}
    common: dict[str, Sequence[str] | Any] = {"data": data, "x": "x", "y": "y", "hue": "colour", "palette": palette}
    if seeds:
        sns.scatterplot(
            **common, s=14, alpha=0.45, linewidth=0, legend=False, ax=axis, rasterized=len(data) > MANY_POINTS
        )
    bands = t_bands(data, ["colour", "x"], "y")
    sns.lineplot(
        **{**common, "data": bands}, estimator=None, errorbar=None, linestyle=linestyle, legend=False, ax=axis, **LINE
    )
    for level, band in bands.groupby("colour", sort=False):
        axis.fill_between(band["x"], band["low"], band["high"], color=palette[level], alpha=0.18, linewidth=0)
    axis.set(xlabel="", ylabel="")
