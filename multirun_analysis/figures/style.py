"""One look for all figures: theme, colour-blind-safe palettes, facets, legends."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import stdtrit

from multirun_analysis import labels

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (2, 2)))
MANY_POINTS = 3000  # more are drawn as pixels inside the SVG
MAXIMUM_LEVELS = 16  # numbers in a legend; of more, every second or third
LEGEND_CHARACTERS = 24  # a line's length
LEGEND_ENTRY, LEGEND_LINE = 0.24, 0.16  # inches of an entry, of its further lines
SMALL = 7  # points of letters in a figure of limited width

Entries = dict[str, dict[str, Any]]  # a legend's: label -> line properties


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption, or figure None and the reason why it is left out."""

    name: str
    title: str
    figure: Figure | None
    caption: str

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        if self.figure is None:
            return None
        held = io.BytesIO()
        self.figure.savefig(held, format="png", dpi=110, bbox_inches="tight")
        return held.getvalue()

    def __repr__(self) -> str:
        """One line: its title, or why there is no figure."""
        return f"Drawing({self.title!r}{'' if self.figure else f', left out: {self.caption}'})"


_width: ContextVar[float | None] = ContextVar("width", default=None)


def limit() -> float | None:
    """Inches that no figure is wider than, if `theme` was given any."""
    return _width.get()


@contextmanager
def theme(width: float | None = None) -> Iterator[None]:
    """seaborn's theme, without touching anyone's global settings.

    width: inches that no figure is wider than, as a column of a paper: smaller letters, fewer panels a row, and the
    legend above.
    """
    settings: Any = sns.axes_style("whitegrid") | sns.plotting_context("notebook", font_scale=0.85)
    settings |= {"axes.linewidth": 0.8, "grid.linewidth": 0.6, "grid.color": "0.88", "axes.edgecolor": "0.6"}
    settings |= {"axes.titlesize": 10, "legend.fontsize": 9.5, "svg.hashsalt": "initdist"}
    settings |= {"axes.titley": 1.0}  # where it is anyway: else what it could overlap is looked for at every turn
    settings |= {"pdf.fonttype": 42, "ps.fonttype": 42}  # fonts that publishers take
    if width is not None:
        settings |= sns.plotting_context("paper", font_scale=0.8) | {"axes.titlesize": SMALL, "legend.fontsize": SMALL}
        settings |= {"axes.labelsize": SMALL, "lines.markersize": 3.5, "lines.linewidth": 1.1}
    token = _width.set(width)
    try:
        with mpl.rc_context(settings):
            yield
    finally:
        _width.reset(token)


def palette(levels: Sequence[Any]) -> dict[Any, Any]:
    """Numbers get viridis in their order (its middle, legible on white and inverted on black), names colorblind."""
    if all(isinstance(level, int | float | np.number) for level in levels) and len(levels) > 1:
        colours = mpl.colormaps["viridis"](np.linspace(0.05, 0.75, len(levels)))
        return dict(zip(levels, map(tuple, colours), strict=True))
    return dict(zip(levels, sns.color_palette("colorblind", len(levels)), strict=True))


def levels_of(frame: pd.DataFrame, axis: str) -> list[Any]:
    """An axis' levels in order, missing ones last."""
    present = sorted(frame[axis].dropna().unique(), key=lambda v: (isinstance(v, str), v))
    return [*present, *([np.nan] if frame[axis].isna().any() else [])]


def named(frame: pd.DataFrame, axis: str) -> pd.Series:
    """An axis' values as texts, so that missing ones can be drawn like others."""
    return frame[axis].map(labels.value, na_action=None)


def wrapped(text: str, width: int) -> str:
    """Lines of so many characters at most: broken after a space or an underscore, but not around an equals sign."""
    lines = [""]
    for piece in re.findall(rf"[^ _]{{1,{width - 1}}}[ _]?|[ _]", text.replace(" = ", "\xa0=\xa0")):
        if len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines).replace("\xa0", " ")


def t_bands(data: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Columns keys, the mean, and low and high of its 95% t interval over the rows of each key; missing for one row."""
    found = data.groupby(list(keys), sort=True)[column].agg(["mean", "std", "count"]).reset_index()
    half = stdtrit(np.maximum(found["count"] - 1, 1), 0.975) * found["std"] / np.sqrt(found["count"])
    return found[list(keys)].assign(
        **{column: found["mean"], "low": found["mean"] - half, "high": found["mean"] + half}
    )


def legend(figure: Figure, blocks: Sequence[tuple[str, Entries]]) -> None:
    """One legend at the right, or above where the width is limited: titled blocks of label -> line properties."""
    if (width := limit()) is not None:
        _legend_above(figure, blocks, width)
        return
    handles: list[Line2D] = []
    texts: list[str] = []
    titles = []
    for title, entries in blocks:
        if title:
            titles += [len(texts), *([len(texts) + 1] if texts else [])]
            handles += [Line2D([], [], linestyle="none")] * (2 if texts else 1)
            texts += ["", title] if texts else [title]
        for text, properties in entries.items():
            handles.append(Line2D([], [], **properties))
            texts.append("\n".join(wrapped(line, LEGEND_CHARACTERS) for line in text.split("\n")))
    if not handles:
        return
    lines = sum(text.count("\n") for text in texts)
    figure.set_figheight(max(figure.get_figheight(), 0.2 + LEGEND_ENTRY * len(texts) + LEGEND_LINE * lines))
    drawn = figure.legend(handles, texts, loc="outside right center", frameon=False, handlelength=1.7)
    for number in titles:
        drawn.get_texts()[number].set_fontweight("bold")


def _legend_above(figure: Figure, blocks: Sequence[tuple[str, Entries]], width: float) -> None:
    """In as many columns as fit: each entry with its block's title."""
    entries = {
        ("" if title in text.split() else f"{title} ") + text.replace("\n", " "): properties
        for title, found in blocks
        for text, properties in found.items()
    }
    if not entries:
        return
    longest = max(map(len, entries))
    columns = max(1, min(len(entries), int(width / (0.35 + longest * letter(SMALL)))))
    rows = -(-len(entries) // columns)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.15 * rows)
    handles = [Line2D([], [], **properties) for properties in entries.values()]
    figure.legend(
        handles, list(entries), loc="outside upper center", frameon=False, ncols=columns, handlelength=1.4,
        columnspacing=1.0, handletextpad=0.5,
    )  # fmt: skip


def letter(points: float) -> float:
    """Inches that a letter of this size is wide, on the average."""
    return 0.55 * points / 72


def marks(colours: dict[Any, Any], markers: dict[Any, str] | None = None, **properties: Any) -> Entries:
    """Legend entries for a palette."""
    shapes = {level: {"marker": shape} for level, shape in (markers or {}).items()}
    shown = list(colours)
    if len(shown) > MAXIMUM_LEVELS and not any(isinstance(level, str) for level in shown):
        shown = shown[:: -(-len(shown) // MAXIMUM_LEVELS)]
    return {labels.value(level): {"color": colours[level], **shapes.get(level, {}), **properties} for level in shown}
