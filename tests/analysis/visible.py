"""What a reader cannot see of a figure: data off its axes, texts cut or over one another, axes without numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

SLACK = 0.6  # pixels: half of one, and rounding
TOUCHING = 1.0  # pixels by which the boxes of two texts may share a border


def faults(figure: Figure) -> list[str]:
    """One sentence for each fault, as the figure is written: its own layout, at its own size."""
    FigureCanvasAgg(figure).draw()
    shown = [axis for axis in figure.axes if axis.get_visible()]
    found = [fault for axis in shown for fault in [*_outside(axis), *_numbers(axis)]]
    return [*found, *_texts(figure, shown)]


def _outside(axis: Axes) -> Iterator[str]:
    """Data, with the markers' size, that its axes cut off."""
    box = Bbox(axis.bbox.get_points() + np.array([[-SLACK], [SLACK]]))
    for artist in [*axis.lines, *axis.collections, *axis.patches]:
        points, radius = _points(artist)
        points = points[~np.isnan(points).any(axis=1)]
        for side, far in (
            ("left", points[:, 0] - radius < box.x0),
            ("right", points[:, 0] + radius > box.x1),
            ("bottom", points[:, 1] - radius < box.y0),
            ("top", points[:, 1] + radius > box.y1),
        ):
            if far.any():
                where, kind = axis.get_title() or "the axes", type(artist).__name__
                yield f"{where}: {far.sum()} of {len(far)} points of a {kind} are off the {side}"


def _points(artist: Artist) -> tuple[np.ndarray, float]:
    """[points, 2] in pixels, and how far a marker reaches beyond them. NaN: not drawn."""
    figure = artist.get_figure()
    assert figure is not None
    pixels = figure.dpi / 72
    if isinstance(artist, Line2D):
        reach = artist.get_markersize() / 2 * pixels if artist.get_marker() not in ("None", "", None) else 0.0
        return artist.get_transform().transform(artist.get_xydata()), reach
    if isinstance(artist, PathCollection):
        places = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)
        size = artist.get_sizes()
        return artist.get_offset_transform().transform(places), float(np.sqrt(size.max()) / 2 * pixels) if len(
            size
        ) else 0.0
    if isinstance(artist, Collection):
        paths = [artist.get_transform().transform(path.vertices) for path in artist.get_paths() if len(path.vertices)]
        return np.concatenate([np.empty((0, 2)), *paths]), 0.0
    return artist.get_window_extent().get_points(), 0.0


def _numbers(axis: Axes) -> Iterator[str]:
    """An axis of numbers can be read if two of its ticks are labelled."""
    for name, of in (("x", axis.xaxis), ("y", axis.yaxis)):
        labelled = [label for label in _ticks(of) if label.get_text()]
        shared = not any(label.get_visible() for label in of.get_ticklabels())
        if len(labelled) < 2 and not shared and not isinstance(of.get_major_locator(), FixedLocator):
            yield f"{axis.get_title() or 'the axes'}: {len(labelled)} numbers along {name}"


def _ticks(of: object) -> list[Text]:
    """The labels of the ticks within the limits, as they are drawn."""
    return [tick.label1 for tick in of._update_ticks() if tick.label1.get_visible()]  # type: ignore[attr-defined]


def _texts(figure: Figure, shown: list[Axes]) -> Iterator[str]:
    boxes = [(text.get_text().replace("\n", " "), text.get_window_extent()) for text in _all_texts(figure, shown)]
    canvas = figure.bbox
    for text, box in boxes:
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > canvas.x1 + SLACK or box.y1 > canvas.y1 + SLACK:
            yield f"'{text}' is cut by the edge"
    for (one, first), (other, second) in combinations(boxes, 2):
        if _overlap(first, second):
            yield f"'{one}' and '{other}' overlap"
    inner = {id(text) for axis in shown for text in axis.texts}
    for text in _all_texts(figure, shown):
        if id(text) not in inner and any(_overlap(text.get_window_extent(), axis.bbox) for axis in shown):
            yield f"'{text.get_text()}' lies over a panel"


def _overlap(one: Bbox, other: Bbox) -> bool:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > TOUCHING and height > TOUCHING


def _all_texts(figure: Figure, shown: list[Axes]) -> list[Text]:
    texts = [text for text in (figure._supxlabel, figure._supylabel, figure._suptitle) if text is not None]  # type: ignore[attr-defined]
    texts += [text for legend in figure.legends for text in [*legend.get_texts(), legend.get_title()]]
    for axis in shown:
        texts += [axis.title, *axis.texts]
        for of in (axis.xaxis, axis.yaxis):
            texts += [of.label, of.get_offset_text(), *_ticks(of)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]
