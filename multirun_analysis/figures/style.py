"""One look for all figures: theme, colour-blind-safe palettes, facets, legends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.special import stdtrit

from multirun_analysis import labels

MAXIMUM_PANELS = 12
COLUMNS = 4
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
MANY_POINTS = 3000  # more are drawn as pixels inside the SVG


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption, or figure None and the reason why it is left out."""

    name: str
    title: str
    figure: Figure | None
    caption: str


@contextmanager
def theme() -> Iterator[None]:
    """seaborn's theme, without touching anyone's global settings."""
    look = sns.axes_style("whitegrid") | sns.plotting_context("notebook", font_scale=0.95)
    with mpl.rc_context({**look, "svg.hashsalt": "initdist", "axes.titlesize": 10.5, "legend.fontsize": 9.5}):
        yield


def palette(levels: Sequence[Any]) -> dict[Any, Any]:
    """Numbers get viridis in their order (without its palest end), names the colorblind palette."""
    if all(isinstance(level, int | float | np.number) for level in levels) and len(levels) > 1:
        colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(levels)))
        return dict(zip(levels, map(tuple, colours), strict=True))
    return dict(zip(levels, sns.color_palette("colorblind", len(levels)), strict=True))


def levels_of(frame: pd.DataFrame, axis: str) -> list[Any]:
    """An axis' levels in order, missing ones last."""
    present = sorted(frame[axis].dropna().unique(), key=lambda v: (isinstance(v, str), v))
    return [*present, *([np.nan] if frame[axis].isna().any() else [])]


def named(frame: pd.DataFrame, axis: str) -> pd.Series:
    """An axis' values as texts, so that missing ones can be drawn like others."""
    return frame[axis].map(labels.value, na_action=None)


def panels_of(frame: pd.DataFrame, axes: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """(title, rows) for each combination of the axes' values, in order."""
    if not axes:
        return [("", frame)]
    grouped = frame.groupby(list(axes), dropna=False, sort=True)
    return [(labels.cell({axis: rows[axis].iloc[0] for axis in axes}), rows) for _, rows in grouped]


def grid(
    panels: Sequence[tuple[str, Any]], share_x: bool = True, share_y: bool = True, rows_each: int = 1
) -> tuple[Figure, np.ndarray]:
    """A figure with [rows_each, panels] axes, titled; at most MAXIMUM_PANELS panels."""
    number = min(len(panels), MAXIMUM_PANELS)
    columns = number if rows_each > 1 else min(number, COLUMNS)
    rows = rows_each if rows_each > 1 else -(-number // columns)
    width = 3.1 * columns + 1.9 if columns > 1 else 6.8
    figure = Figure(figsize=(width, 2.9 * rows + 0.6 if rows > 1 else 4.0), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share_x, sharey=share_y, squeeze=False)
    for extra in axes.flat[number * rows_each :]:
        extra.set_visible(False)
    flat = axes if rows_each > 1 else axes.reshape(1, -1)[:, :number]
    for axis, (title, _) in zip(flat[0], panels, strict=False):
        axis.set_title(title)
    if rows_each == 1:  # a panel above an empty place keeps its tick labels
        for place in range(number):
            if place + columns >= number:
                flat[0][place].tick_params(labelbottom=True)
    return figure, flat


def too_many(panels: Sequence[Any]) -> str:
    """A caption's sentence on panels that are not drawn."""
    if len(panels) <= MAXIMUM_PANELS:
        return ""
    return f" The first {MAXIMUM_PANELS} of {len(panels)} panels are drawn."


def level_axis(axis: Axes, levels: Sequence[float], name: str, log: bool = True) -> None:
    """An x axis with ticks at the levels that were run."""
    if log:
        axis.set_xscale("log", base=2)
    shown = list(levels) if len(levels) <= 8 else list(levels)[:: -(-len(levels) // 8)]
    axis.xaxis.set_major_locator(FixedLocator(shown))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: labels.value(float(x))))
    if len(shown) > 5:
        axis.tick_params(axis="x", labelrotation=45)
    axis.set_xlabel(name)


def log_y(axis: Axes) -> None:
    """A logarithmic y axis whose ticks read as plain numbers."""
    axis.set_yscale("log")
    plain = FuncFormatter(lambda y, _: labels.number(float(y), 2))
    axis.yaxis.set_major_formatter(plain)
    low, high = axis.get_ylim()
    axis.yaxis.set_minor_formatter(plain if high / max(low, 1e-300) < 12 else FuncFormatter(lambda *_: ""))


def t_band(values: pd.Series | np.ndarray) -> tuple[float, float]:
    """95% t interval of the mean over seeds, for seaborn's errorbar; no width for a single seed."""
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean
    half = float(stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return mean - half, mean + half


def legend(figure: Figure, blocks: Sequence[tuple[str, dict[str, dict[str, Any]]]]) -> None:
    """One legend at the right: titled blocks of label -> line properties."""
    handles: list[Line2D] = []
    texts: list[str] = []
    for title, entries in blocks:
        if title:
            handles.append(Line2D([], [], linestyle="none"))
            texts.append(title)
        for text, properties in entries.items():
            handles.append(Line2D([], [], **properties))
            texts.append(text)
    if handles:
        figure.legend(handles, texts, loc="outside right center", frameon=False, handlelength=1.6)


def marks(colours: dict[Any, Any], **properties: Any) -> dict[str, dict[str, Any]]:
    """Legend entries for a palette."""
    return {labels.value(level): {"color": colour, **properties} for level, colour in colours.items()}
