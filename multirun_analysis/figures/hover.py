"""What a reader is told who points at a drawn value: texts at places of a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Point(NamedTuple):
    """x, y: of the figure, from its upper left corner, in thousandths of its width and height."""

    x: int
    y: int
    text: str


_told: WeakKeyDictionary[Figure, list[tuple[Axes, np.ndarray, Sequence[str]]]] = WeakKeyDictionary()


def tell(axis: Axes, x: Iterable[float], y: Iterable[float], texts: Iterable[str]) -> None:
    """Text for each point, given in the axes' data coordinates."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    places = np.column_stack([np.asarray(list(x), dtype=float), np.asarray(list(y), dtype=float)])
    _told.setdefault(figure, []).append((axis, places, list(texts)))


def points(figure: Figure) -> tuple[Point, ...]:
    """All that is told of a figure whose layout is settled."""
    found = []
    for axis, places, texts in _told.get(figure, ()):
        shares = axis.transData.transform(places) / (figure.bbox.width, figure.bbox.height)
        for (x, y), text in zip(shares, texts, strict=True):
            if np.isfinite((x, y)).all() and 0 <= x <= 1 and 0 <= y <= 1:
                found.append(Point(round(1000 * x), round(1000 * (1 - y)), text))
    return tuple(found)
