"""Small multiples: one panel for each combination of some axes' values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multirun_analysis import labels

MAXIMUM = 12
COLUMNS = 4


@dataclass(frozen=True)
class Panels:
    """titles and frames go together; at most MAXIMUM are drawn."""

    titles: Sequence[str]
    frames: Sequence[pd.DataFrame]
    columns: int

    @property
    def drawn(self) -> int:
        return min(len(self.frames), MAXIMUM)

    @property
    def note(self) -> str:
        """A caption's sentence on panels that are not drawn."""
        total = len(self.frames)
        return "" if total <= MAXIMUM else f" The first {MAXIMUM} of {total} panels are drawn."

    def on(self, axes: Sequence[Axes]) -> Iterator[tuple[Axes, pd.DataFrame]]:
        """The drawn panels' axes with their rows."""
        return zip(axes, self.frames[: self.drawn], strict=True)


def panels_of(frame: pd.DataFrame, axes: Sequence[str]) -> Panels:
    """One panel for each combination, in order; the levels of the last axis fill a row where they can."""
    if not axes:
        return Panels([""], [frame], 1)
    groups = [rows for _, rows in frame.groupby(list(axes), dropna=False, sort=True)]
    titles = [labels.cell({axis: rows[axis].iloc[0] for axis in axes}) for rows in groups]
    number, last = min(len(groups), MAXIMUM), frame[axes[-1]].nunique(dropna=False)
    full_rows = len(axes) > 1 and 2 <= last <= COLUMNS and number % last == 0
    return Panels(titles, groups, last if full_rows else min(number, COLUMNS))


def grid(panels: Panels, share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with the panels' axes, titled, on common y axes."""
    number, columns = panels.drawn, panels.columns
    rows = -(-number // columns)
    size = (3.0 * columns + 1.7, 2.6 * rows + 0.7) if number > 1 else (6.6, 4.0)
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subplots(rows, columns, sharex=share_x, sharey=True, squeeze=False).ravel()
    for place, axis in enumerate(places):
        if place >= number:
            axis.set_visible(False)
            continue
        axis.set_title(panels.titles[place])
        if place + columns >= number:  # a panel above an empty place keeps its tick labels
            axis.tick_params(labelbottom=True)
    return figure, list(places[:number])


def name_axes(figure: Figure, x: str, y: str) -> None:
    """One label for all panels' x axes and one for all y axes."""
    figure.supxlabel(x, fontsize=11)
    figure.supylabel(y, fontsize=11)
