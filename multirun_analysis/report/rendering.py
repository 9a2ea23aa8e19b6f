"""Figures -> SVG and PNG, by this process and by a second one where there is a core for it."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from initdist import cores
from multirun_analysis.figures import theme

DPI = 160


class Renderer:
    """The second process starts when this is made, which costs nothing while this one reads and computes."""

    def __init__(self) -> None:
        helped = cores.usable() > 1
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) if helped else None
        if self._pool is not None:
            self._pool.submit(_warm)

    def images(self, figures: Sequence[Figure]) -> Iterator[tuple[bytes, bytes]]:
        """Each figure as SVG and as PNG, in order. What the second process has not begun with is drawn here."""
        given = [self._submitted(figure) for figure in reversed(figures)]
        for figure, future in zip(figures, reversed(given), strict=True):
            if future is None or future.cancel():
                yield _in_theme(figure)
                continue
            try:
                yield future.result()
            except BrokenProcessPool:  # killed, perhaps for memory
                yield _in_theme(figure)

    def _submitted(self, figure: Figure) -> Future[tuple[bytes, bytes]] | None:
        try:
            return None if self._pool is None else self._pool.submit(_in_theme, figure)
        except BrokenProcessPool:
            return None

    def close(self) -> None:
        """End the second process. What it has begun with is awaited."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def renderer() -> Iterator[Renderer]:
    """A renderer that is closed at the end."""
    made = Renderer()
    try:
        yield made
    finally:
        made.close()


def rendered(figure: Figure) -> tuple[bytes, bytes]:
    """A figure as SVG and as PNG. The layout is found once: savefig would draw four times for two files."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    vector, pixels = io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(figure).print_svg(vector, metadata={"Date": None})
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(pixels)
    return vector.getvalue(), pixels.getvalue()


def _in_theme(figure: Figure) -> tuple[bytes, bytes]:
    with theme():
        return rendered(figure)


def _warm() -> None:
    """Import what drawing takes, fonts included."""
    with theme():
        figure = Figure()
        figure.add_subplot().set_title("warm")
        rendered(figure)
