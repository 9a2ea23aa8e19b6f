"""Measures against each other, and against the target axis by axis, as coloured tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.measures import means_of
from multirun_analysis.figures.style import SMALL, Drawing, limit
from multirun_analysis.stats.league.league_types import LeagueTable, Standing

MAXIMUM = 40  # rows
CELL = 0.2  # inches
COLOURS = "RdBu_r"
BESIDE = 2.4  # inches, of the rows' names and the scale of colours
UPRIGHT = 0.09  # inches that an upright name of small letters needs: with less the names lie upon each other
LOWEST = 3.2  # inches, for the words at the scale of colours
TICKS = (-1, -0.5, 0, 0.5, 1)


def correlations(frame: pd.DataFrame, table: LeagueTable) -> Drawing:
    """Spearman's correlation of every pair of measures over configurations, alike measures beside each other."""
    name, title = "correlations", "Correlations among measures"
    means = means_of(frame, table)
    rows = _distinct(table, [row for row in table.rows if row.measure in means])
    values = means[[row.measure for row in rows]].replace([np.inf, -np.inf], np.nan).dropna(axis=1)
    values = values.loc[:, values.nunique() > 1]
    if values.shape[1] < 3 or len(values) < 4:
        return Drawing(name, title, None, "fewer than three measures, or fewer than four configurations, to compare")
    found = np.clip(np.atleast_2d(spearmanr(values.to_numpy()).statistic), -1, 1)
    order = leaves_list(linkage(squareform(1 - np.abs(found), checks=False), "average"))
    shown = [values.columns[place] for place in order]
    figure, axis = _square(len(shown), len(shown))
    width = limit()
    narrow = width is not None and width - BESIDE < UPRIGHT * len(shown)
    _coloured(figure, axis, found[np.ix_(order, order)], shown, () if narrow else shown, "Spearman's ρ")
    caption = (
        "Spearman's correlation of each pair of measures over configuration means, each measure normalized and "
        "oriented as in the league table. Measures are ordered by average linkage on 1 − |ρ|: those that rank "
        f"networks alike are next to each other.{' Columns are in the order of the rows.' if narrow else ''}"
        f"{_some(len(shown), table)}"
    )
    return Drawing(name, title, figure, caption)


def tau_by_axis(table: LeagueTable) -> Drawing:
    """Kendall's tau with the target over pairs of configurations that differ in one axis alone."""
    name, title = "tau_by_axis", "Agreement with the target, axis by axis"
    axes = list(dict.fromkeys(axis for row in table.rows for axis in row.psi.by_axis))
    rows = _distinct(table, [row for row in table.rows if row.psi.by_axis])
    if len(axes) < 2 or not rows:
        return Drawing(name, title, None, "fewer than two axes vary by themselves")
    found = np.full((len(rows), len(axes)), np.nan)
    for place, row in enumerate(rows):
        for column, axis in enumerate(axes):
            if axis in row.psi.by_axis and (value := row.psi.by_axis[axis].value) is not None:
                found[place, column] = value
    figure, drawn = _square(len(rows), len(axes))
    _coloured(figure, drawn, found, [row.measure for row in rows], list(map(labels.short, axes)), "Kendall's τ")
    caption = (
        "Kendall's τ of measure and target over pairs of configurations that differ in this axis alone. +1: whenever "
        "one has the larger measure, it has the larger target. Empty: there is no such pair, or there are only ties. "
        f"Rows are in the order of the league table. Target: {labels.long(table.target)}.{_some(len(rows), table)}"
    )
    return Drawing(name, title, figure, caption)


def _distinct(table: LeagueTable, rows: Sequence[Standing]) -> list[Standing]:
    """The first of those that rank networks alike; the distance always."""
    kept = [row for row in rows if not row.same_as]
    first = kept[:MAXIMUM]
    return [*first, *(row for row in kept[MAXIMUM:] if row.measure == names.DISTANCE)]


def _some(shown: int, table: LeagueTable) -> str:
    return f" {shown} of {len(table.rows)} measures are drawn." if shown < len(table.rows) else ""


def _square(rows: int, columns: int) -> tuple[Figure, Axes]:
    width = limit() or 3.2 + max(2.0, CELL * columns + (1.5 if columns < 10 else 0))
    cell = CELL if limit() is None else 0.13
    figure = Figure(figsize=(width, max(LOWEST, 1.6 + cell * rows)), layout="constrained")
    return figure, figure.subplots()


def _coloured(
    figure: Figure, axis: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], what: str
) -> None:
    size = SMALL if limit() is not None else 8
    image = axis.imshow(values, cmap=COLOURS, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axis.set_yticks(range(len(rows)), rows, fontsize=size)
    upright = max(map(len, columns), default=0) <= 8
    axis.set_xticks(range(len(columns)), columns, fontsize=size, rotation=0 if upright else 90)
    for ticks, texts in ((axis.get_yticklabels(), rows), (axis.get_xticklabels(), columns)):
        for tick, text in zip(ticks, texts, strict=True):
            tick.set_fontweight("bold" if text == names.DISTANCE else "normal")
    axis.grid(visible=False)
    if columns:
        figure.colorbar(image, ax=axis, label=what, shrink=min(1.0, 2.5 / figure.get_figheight()), ticks=TICKS)
    else:
        figure.colorbar(image, ax=axis, label=what, location="bottom", aspect=30, ticks=TICKS)
