"""The target against every measure, small multiples: what the league table ranks, to be looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.association import dots, keys, shapes_of
from multirun_analysis.figures.panels import extent, name_axes
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.style import SMALL, Drawing, limit, wrapped
from multirun_analysis.runs.params import TRAIN_SIZE, WIDTH
from multirun_analysis.stats.catalogue import read_catalogue
from multirun_analysis.stats.design import Design, codes
from multirun_analysis.stats.grid import configurations
from multirun_analysis.stats.league.candidates import candidates
from multirun_analysis.stats.league.league_types import LeagueTable, Standing

NAME, TITLE = "gap_against_measures", "Gap against each measure"
MAXIMUM, COLUMNS = 12, 4
TITLE_CHARACTERS = 26  # that fit the width of a panel


def gap_against_measures(frame: pd.DataFrame, table: LeagueTable) -> Drawing:
    """frame: the networks that the table ranks measures on. Best first, the distance always."""
    means = means_of(frame, table)
    rows = [row for row in table.rows if row.measure in means and np.isfinite(means[row.measure]).any()]
    rows = [row for row in rows if not row.same_as] or rows
    shown = rows[:MAXIMUM]
    distance = next((row for row in rows if row.measure == names.DISTANCE), None)
    if distance and distance not in shown:
        shown[-1] = distance
    if not shown or len(means) < 2:
        return Drawing(NAME, TITLE, None, "there is one configuration only" if shown else "no measure can be ranked")
    design = table.design
    role = roles(design.axes)
    colours = role.palette(means)
    shape = next((axis for axis in (TRAIN_SIZE, WIDTH) if axis in design.axes and axis != role.colour), None)
    markers = shapes_of(means, shape)
    figure, axes = _grid(len(shown))
    for axis, row in zip(axes, shown, strict=False):
        data = means.assign(x=means[row.measure], y=100 * means[table.target])
        data = data[np.isfinite(data["x"]) & np.isfinite(data["y"])]
        dots(axis, data, "x", role.colour, colours, shape if markers else None, markers, design.axes)
        _lines(axis, data, design, row)
        axis.set(xlabel="", ylabel="")
        place = f"{row.ranks['tau_within']}. " if "tau_within" in row.ranks else ""
        heading = wrapped(f"{place}{row.measure}", TITLE_CHARACTERS)
        axis.set_title(
            f"{heading}\nτ within {labels.number(row.tau_within.value, 2)}", fontsize=9.5 if limit() is None else SMALL
        )
    name_axes(figure, "measure, normalized and oriented", labels.target_label(table.target))
    keys(figure, role, colours, shape, markers)
    some = ""
    if len(shown) < len(table.rows):
        some = f" {len(shown)} of {len(table.rows)} measures are drawn, only one of those with the same ranking."
    within = ", ".join(map(labels.short, design.group_axes))
    where = f"groups of equal {within}" if within else "the one group"
    caption = (
        f"Each point is a configuration, the mean over its seeds. Grey lines: the common slope within {where}. "
        "Measures are normalized across training sizes. A measure that predicts a smaller gap has its sign turned."
        f"{some}"
    )
    return Drawing(NAME, TITLE, figure, caption)


def means_of(frame: pd.DataFrame, table: LeagueTable) -> pd.DataFrame:
    """One row a configuration; each measure as the table compares it, normalized and oriented, under its name."""
    found = candidates(frame, read_catalogue(), [row.measure for row in table.rows if row.column in frame])
    columns = {entry.name: found.values[:, place] for place, entry in enumerate(found.entries)}
    wanted = frame[[*table.design.axes, table.target]].drop(columns=list(columns), errors="ignore")
    return configurations(wanted.assign(**columns), table.design)


def _grid(number: int) -> tuple[Figure, list[Axes]]:
    columns, size, _ = extent(number, min(COLUMNS, number), panel=2.7)
    lines = -(-number // columns)
    figure = Figure(figsize=size, layout="constrained")
    places = list(figure.subplots(lines, columns, sharey=True, squeeze=False).ravel())
    for axis in places[number:]:
        axis.set_visible(False)
    return figure, places[:number]


def _lines(axis: Axes, rows: pd.DataFrame, design: Design, row: Standing) -> None:
    """In each group the common slope through the group's mean."""
    if row.within.slope is None:
        return
    lines = []
    for _, group in rows.groupby(codes(rows, design.group_axes)):
        if len(group) > 1:
            x, y = group["x"].to_numpy(dtype=float), group["y"].to_numpy(dtype=float)
            span = np.array([x.min(), x.max()])
            lines.append(np.column_stack([span, y.mean() + 100 * row.within.slope * (span - x.mean())]))
    axis.add_collection(LineCollection(lines, colors="0.45", linewidths=1, zorder=2), autolim=True)
    axis.autoscale_view()
