"""Logarithmic axes: their ticks, and what has no place on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from multirun_analysis import labels

MAXIMUM_FLAT = 5  # tick labels; more are turned
BELOW = 3  # bands are drawn down to the lowest value over this: a lower end may be 0, and has no place
CUT = " Bands that reach below the axis end at its edge."
ZERO = " Values of 0 have no place on a logarithmic axis."


def _level(x: float, _: int | None) -> str:
    return labels.value(float(x))


def _number(y: float, _: int | None) -> str:
    return f"{y:g}"


def _with_room(levels: Sequence[float]) -> list[float]:
    """Those of the levels whose labels fit under a logarithmic axis."""
    shown = list(levels) if len(levels) <= 8 else list(levels)[:: -(-len(levels) // 8)]
    turned = _apart(shown, lambda _: 0.08)
    return (
        turned if len(turned) > MAXIMUM_FLAT else _apart(turned, lambda level: 0.04 + 0.03 * len(_level(level, None)))
    )


def _apart(levels: Sequence[float], room: Callable[[float], float]) -> list[float]:
    """Levels from the last one down, each its room away, as a share of the axis, from the next."""
    first, last = levels[0], levels[-1]
    kept = [last]
    for level in reversed(levels[:-1]):
        near = [abs(math.log(level / other) / math.log(last / first)) < room(other) for other in (kept[-1], first)]
        if level == first or not any(near):
            kept.append(level)
    return kept[::-1]


def level_axis(axes: Sequence[Axes], levels: Sequence[float]) -> None:
    """Logarithmic x axes with ticks at the levels that were run."""
    shown = _with_room(levels)
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_locator(FixedLocator(shown))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(_level))
        if len(shown) > MAXIMUM_FLAT:
            axis.tick_params(axis="x", labelrotation=45)


def log_y(axes: Sequence[Axes]) -> str:
    """Logarithmic y axes on one scale, with plain numbers; call it once everything is drawn.

    Returns a caption's sentence on what has no place there, or nothing.
    """
    for axis in axes:
        axis.set_yscale("log")
    note = _cut(axes)
    low, high = axes[0].get_ylim()
    for axis in axes:
        if high < 1.6 * low:
            axis.yaxis.set_major_locator(MaxNLocator(5))
        else:
            fine, middle = (1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5)
            ratio = high / low
            subs = fine if ratio < 8 else middle if ratio < 40 else (1, 2, 5) if ratio < 300 else (1,)
            axis.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(_number))
        enough_ticks(axis.yaxis)
    return note


def _cut(axes: Sequence[Axes]) -> str:
    """Takes zeros out of what is drawn, and ends bands at the axes' lower edge: at 0 they would have no end at all."""
    curves = [artist for axis in axes for artist in (*axis.lines, *axis.collections)]
    heights = [(artist, _heights(artist)) for artist in curves if not isinstance(artist, PolyCollection)]
    bands = [path for band in curves if isinstance(band, PolyCollection) for path in band.get_paths()]
    positive = np.concatenate([np.empty(0), *(values[values > 0] for _, values in heights)])
    if not positive.size:
        return ""
    floor = float(positive.min()) / BELOW
    zero = any((values <= 0).any() for _, values in heights)
    below = any((np.asarray(path.vertices)[:, 1] < floor).any() for path in bands)
    if not (below or zero):
        return ""
    for artist, values in heights:
        shown = np.where(values > 0, values, np.nan)
        if isinstance(artist, Line2D):
            artist.set_ydata(shown)
        elif isinstance(artist, PathCollection):
            artist.set_offsets(np.column_stack([np.asarray(artist.get_offsets())[:, 0], shown]))
    for path in bands:
        path.vertices = np.maximum(path.vertices, [-np.inf, floor])
    top = max([float(positive.max()), *(float(np.asarray(path.vertices)[:, 1].max()) for path in bands)])
    axes[0].set_ylim(floor, top * (top / floor) ** 0.05)
    return (CUT if below else "") + (ZERO if zero else "")


def _heights(artist: Artist) -> np.ndarray:
    """[points] the y of a line's or a cloud's points; none of anything else."""
    if isinstance(artist, Line2D):
        return np.asarray(artist.get_ydata(), dtype=float)
    return np.asarray(artist.get_offsets(), dtype=float)[:, 1] if isinstance(artist, PathCollection) else np.empty(0)


def enough_ticks(axis: Axis) -> None:
    """Evenly spaced numbers where a logarithmic axis has fewer than two powers within its limits."""
    low, high = sorted(axis.get_view_interval())
    if sum(low <= place <= high for place in axis.get_majorticklocs()) < 2:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_number))
