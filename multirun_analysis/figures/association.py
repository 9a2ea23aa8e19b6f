"""The target against the distance, one point a configuration, with the within-group regression and its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import stdtrit

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures import hover
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import MAXIMUM_STYLES, Roles, of_association
from multirun_analysis.figures.style import (
    MANY_POINTS,
    MARKERS,
    Drawing,
    legend,
    levels_of,
    marks,
    named,
)
from multirun_analysis.runs.params import WIDTH
from multirun_analysis.stats import Results
from multirun_analysis.stats.design import Design, codes
from multirun_analysis.stats.grid import configurations
from multirun_analysis.stats.league.table import default_target
from multirun_analysis.stats.regression.association import Association, associate

NAME, TITLE = "gap_against_distance", "Gap against distance"


def gap_against_distance(frame: pd.DataFrame, design: Design, target: str | None = None) -> Drawing:
    """Small multiples: pooled over groups the cloud would mix opposite effects. frame: one row a network. target: as
    that of the league table."""
    target = target or default_target(frame)
    return drawn(configurations(frame, design), design, associate(frame, design, target, names.DISTANCE, ()), target)


def of_results(results: Results) -> Drawing:
    """The same, where the regression has been made."""
    return drawn(results.means, results.design, results.associations[0], results.target)


def drawn(means: pd.DataFrame, design: Design, association: Association, target: str) -> Drawing:
    """means: one row a configuration."""
    if len(means) < 2:
        return Drawing(NAME, TITLE, None, "there is one configuration only")
    role = of_association(design)
    panels = panels_of(means.assign(y=100 * means[target]), role.panels)
    colours = role.palette(means)
    markers = shapes_of(means, WIDTH if WIDTH in design.axes and role.colour != WIDTH else None)
    figure, axes = grid(panels, share=False)
    for axis, rows in panels.on(axes):
        dots(axis, rows, names.DISTANCE, role.colour, colours, WIDTH if markers else None, markers, design.axes)
        _lines(axis, rows, design, association, role, colours)
        axis.set(xlabel="", ylabel="")
    name_axes(figure, labels.long(names.DISTANCE), labels.target_label(target))
    keys(figure, role, colours, WIDTH, markers)
    return Drawing(NAME, TITLE, figure, _caption(association, design, len(panels.frames)) + panels.note)


def shapes_of(means: pd.DataFrame, axis: str | None) -> dict[str, str]:
    """Level of an axis -> its marker; empty where there are too many."""
    levels = [labels.value(level) for level in levels_of(means, axis)] if axis else []
    return dict(zip(levels, MARKERS, strict=False)) if len(levels) <= MAXIMUM_STYLES else {}


def keys(figure: Figure, role: Roles, colours: dict[Any, Any], marked: str | None, markers: dict[str, str]) -> None:
    """The legend of a scatter's colours and markers."""
    blocks = role.block(marks(colours, marker="o", linestyle="none"))
    if marked and markers:
        shapes = {text: {"color": "0.35", "marker": m, "linestyle": "none"} for text, m in markers.items()}
        blocks.append((labels.short(marked), shapes))
    legend(figure, blocks)


def dots(
    axis: Axes,
    rows: pd.DataFrame,
    x: str,
    colour_axis: str | None,
    colours: dict[Any, Any],
    marker_axis: str | None,
    markers: dict[str, str],
    told: Sequence[str] = (),
) -> None:
    """One point a row, at column x and `y`; told: the axes that name it to whoever points at it."""
    data = pd.DataFrame({"x": rows[x], "y": rows["y"]})
    data["marker"] = named(rows, marker_axis) if marker_axis else "all"
    shades = {labels.value(level): colour for level, colour in colours.items()} or {"all": "C0"}
    data["shade"] = [shades[str(level)] for level in (named(rows, colour_axis) if colour_axis else ["all"] * len(rows))]
    size = 46 if len(data) <= 30 else 24 if len(data) <= 300 else 10
    for marker, part in data.groupby("marker", sort=False):
        axis.scatter(
            part["x"], part["y"], s=size, c=list(part["shade"]), marker=markers.get(str(marker), "o"), alpha=0.85,
            linewidth=0.4, edgecolor="white", zorder=3, rasterized=len(data) > MANY_POINTS,
        )  # fmt: skip
    if told and len(rows) <= MANY_POINTS:
        hover.tell(axis, rows[x], rows["y"], [_named(row, told, x) for row in rows.to_dict("records")])


def _named(row: Mapping[Any, Any], axes: Sequence[str], x: str) -> str:
    """`width = 64, p = 0.5: 5.84, 12.3`."""
    numbers = f"{labels.number(row[x])}, {labels.number(row['y'])}"
    return f"{labels.cell({axis: row[axis] for axis in axes})}: {numbers}"


def _lines(
    axis: Axes,
    rows: pd.DataFrame,
    design: Design,
    association: Association,
    role: Roles,
    colours: dict[object, object],
) -> None:
    """In each group the line of the common slope through the group's mean; the band is the fit's own."""
    fit = association.within
    if fit.slope is None:
        return
    for code in np.unique(groups := codes(rows, design.group_axes)):
        group = rows[groups == code]
        if len(group) < 2:
            continue
        x, y = group[names.DISTANCE].to_numpy(dtype=float), group["y"].to_numpy(dtype=float)
        span = np.linspace(x.min(), x.max(), 50)
        line = y.mean() + 100 * fit.slope * (span - x.mean())
        level = group[role.colour].iloc[0] if role.colour in design.group_axes else None
        colour = colours.get(level, "0.35")
        axis.plot(span, line, color=colour, linewidth=1.4, zorder=2)
        if fit.interval is not None:
            square = (fit.effect / fit.slope) ** 2 * fit.points if fit.slope and fit.effect else np.inf
            variance = fit.interval.se**2 * (square / len(x) + (span - x.mean()) ** 2)
            half = 100 * float(stdtrit(fit.interval.df, 0.975)) * np.sqrt(variance)
            if np.isfinite(half).all():
                axis.fill_between(span, line - half, line + half, color=colour, alpha=0.16, linewidth=0, zorder=1)


def _caption(association: Association, design: Design, panels: int) -> str:
    text = "Each point is a configuration, the mean over its seeds."
    if panels > 1:
        text += " Panels have their own scales."
    if association.within.slope is None:
        return text
    where = f"groups of equal {', '.join(map(labels.short, design.group_axes))}" if design.group_axes else "one group"
    text += f" Lines: the regression with an intercept for each group and one common slope ({where})"
    if association.within.interval is None:
        return f"{text}. There is no band: {association.within.note}."
    return f"{text}. Bands: its 95% t interval for the group's mean line."
