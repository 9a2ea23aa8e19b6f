"""Small multiples: one panel for each combination of some axes' values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multirun_analysis import labels
from multirun_analysis.figures.style import SMALL, letter, limit, wrapped

MAXIMUM = 12
COLUMNS = 4
LABEL_CHARACTERS = 40  # that fit the height of one row of panels
TITLE_CHARACTERS = 34  # that fit the width of a panel
TITLE_LINE = 0.17  # inches
NARROWEST = 1.5  # inches of a panel, where the figure's width is limited
STILL = "does not vary (or moves together with another axis)"


@dataclass(frozen=True)
class Panels:
    """titles and frames go together, MAXIMUM of them at most; total counts those that exist."""

    titles: Sequence[str]
    frames: Sequence[pd.DataFrame]
    columns: int
    total: int

    @property
    def note(self) -> str:
        """A caption's sentence on panels that are not drawn."""
        drawn = len(self.frames)
        return "" if drawn == self.total else f" {drawn} of {self.total} panels are drawn, spread over the levels."

    def on(self, axes: Sequence[Axes]) -> Iterator[tuple[Axes, pd.DataFrame]]:
        """The panels' axes with their rows."""
        return zip(axes, self.frames, strict=True)


def panels_of(frame: pd.DataFrame, axes: Sequence[str]) -> Panels:
    """One panel for each combination, in order; the levels of the last axis fill rows where they can."""
    if not axes:
        return Panels([""], [frame], 1, 1)
    total = frame.groupby(list(axes), dropna=False).ngroups
    crossed = total == math.prod(frame[axis].nunique(dropna=False) for axis in axes)
    if total > MAXIMUM and crossed:
        frame = _thinned(frame, axes)
    groups = [rows for _, rows in frame.groupby(list(axes), dropna=False, sort=True)]
    if len(groups) > MAXIMUM:  # at some levels of each axis there may be nothing
        groups = [groups[place] for place in np.linspace(0, len(groups) - 1, MAXIMUM).round().astype(int)]
    titles = [labels.cell({axis: rows[axis].iloc[0] for axis in axes}) for rows in groups]
    last = frame[axes[-1]].nunique(dropna=False)
    fitting = [c for c in range(2, COLUMNS + 1) if len(groups) % c == 0 and c % last == 0]
    return Panels(titles, groups, max(fitting, default=min(len(groups), COLUMNS)), total)


def grid(panels: Panels, share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with the panels' axes, titled; share: all on the same scales."""
    number = len(panels.frames)
    columns, (width, height), characters = extent(number, panels.columns)
    rows = -(-number // columns)
    titles = [wrapped(title, characters) for title in panels.titles]
    more = max(title.count("\n") for title in titles) * TITLE_LINE * rows
    figure = Figure(figsize=(width, height + more), layout="constrained")
    places = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).ravel()
    for place, axis in enumerate(places):
        if place >= number:
            axis.set_visible(False)
            continue
        axis.set_title(titles[place])
        if place + columns >= number:  # a panel above an empty place keeps its tick labels
            axis.tick_params(labelbottom=True)
    return figure, list(places[:number])


def extent(number: int, columns: int, panel: float = 3.0) -> tuple[int, tuple[float, float], int]:
    """Columns, the figure's width and height in inches, and the characters of a panel's title, for so many panels.

    panel: the width of one, where nothing limits that of the figure.
    """
    width = limit()
    if width is None:
        rows = -(-number // columns)
        size = (panel * columns + 1.7, 2.6 * rows + 0.7) if number > 1 else (6.6, 4.0)
        return columns, size, TITLE_CHARACTERS
    columns = max(1, min(columns, int(width / NARROWEST)))
    rows = -(-number // columns)
    each = width / columns
    return columns, (width, min(2.6, 0.78 * each) * rows + 0.45), max(12, int(0.8 * each / letter(SMALL)))


def _thinned(frame: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The rows at fewer levels of the axes, ends kept, so that MAXIMUM panels hold every combination."""
    levels = {axis: pd.factorize(frame[axis], sort=True, use_na_sentinel=False)[1] for axis in axes}
    kept = {axis: len(found) for axis, found in levels.items()}
    while math.prod(kept.values()) > MAXIMUM:
        kept[max(kept, key=lambda axis: kept[axis])] -= 1
    for axis, found in levels.items():
        chosen = np.unique(np.linspace(0, len(found) - 1, kept[axis]).round().astype(int))
        frame = frame[frame[axis].isin(found[chosen])]
    return frame


def name_axes(figure: Figure, x: str, y: str) -> None:
    """One label for all panels' x axes and one for all y axes."""
    size, characters = (11, LABEL_CHARACTERS) if limit() is None else (SMALL + 1, LABEL_CHARACTERS // 2)
    figure.supxlabel(x if limit() is None else wrapped(x, int((limit() or 0) / letter(size))), fontsize=size)
    y = y if len(y) <= characters else y.replace(" (", "\n(")
    figure.supylabel(y, fontsize=size, multialignment="center")
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0.5)  # else a place is looked for, again and again, for no text
