"""Figures -> SVG and PNG, by this process and by a second one where there is a core for it."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from initdist import cores
from multirun_analysis.figures import Drawing, theme

DPI = 160

Task = Callable[[], Drawing]  # that can be pickled


@dataclass(frozen=True)
class Rendered:
    """A figure as it is written, with its caption; or no images, and in place of the caption why it is left out."""

    name: str
    title: str
    caption: str
    images: tuple[bytes, bytes] | None  # SVG, PNG


class Renderer:
    """The second process starts when this is made, which costs nothing while this one reads and computes."""

    def __init__(self) -> None:
        helped = cores.usable() > 1
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) if helped else None
        if self._pool is not None:
            self._pool.submit(_warm)

    def render(self, tasks: Sequence[Task]) -> Iterator[Rendered]:
        """What each task draws, in order. With what the second process has not begun, this one does."""
        given = [self._submitted(task) for task in reversed(tasks)]
        for task, future in zip(tasks, reversed(given), strict=True):
            if future is None or future.cancel():
                yield rendered(task)
                continue
            try:
                yield future.result()
            except BrokenProcessPool:  # killed, perhaps for memory
                yield rendered(task)

    def _submitted(self, task: Task) -> Future[Rendered] | None:
        try:
            return None if self._pool is None else self._pool.submit(rendered, task)
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


def rendered(task: Task) -> Rendered:
    """What a task draws, as it is written."""
    with theme():
        drawing = task()
        images = None if drawing.figure is None else _images(drawing.figure)
    return Rendered(drawing.name, drawing.title, drawing.caption, images)


def _images(figure: Figure) -> tuple[bytes, bytes]:
    """A figure as SVG and as PNG. The layout is found once: savefig would draw four times for two files."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    vector, pixels = io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(figure).print_svg(vector, metadata={"Date": None})
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(pixels)
    return vector.getvalue(), pixels.getvalue()


def _warm() -> None:
    """Import what drawing takes, fonts included."""
    figure = Figure()
    figure.add_subplot().set_title("warm")
    rendered(lambda: Drawing("warm", "", figure, ""))
