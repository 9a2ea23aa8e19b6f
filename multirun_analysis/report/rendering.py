"""Figures -> SVG, PNG and PDF, by this process and by a second one where there is a core for it."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from multirun_analysis.figures import Drawing, theme
from multirun_analysis.figures.hover import Point, points
from multirun_analysis.second import Second, result

DPI = 160
DARK_PAPER, DARK_INK = 21, 231  # of 255

Task = Callable[[], Drawing]  # that can be pickled


@dataclass(frozen=True)
class Rendered:
    """A figure as it is written, with its caption; or no images, and in place of the caption why it is left out."""

    name: str
    title: str
    caption: str
    images: tuple[bytes, bytes, bytes] | None  # SVG, PNG, PDF
    points: tuple[Point, ...] = ()


def render(tasks: Sequence[Task], helper: Second, width: float | None = None) -> Iterator[Rendered]:
    """What each task draws, in order: from the first on here, from the last on in the second process.

    width: inches that no figure is wider than.
    """
    left, given, lock = deque(range(len(tasks))), dict[int, Future[Rendered] | None](), Lock()

    def give(_: object = None) -> None:
        with lock:
            if not left:
                return
            number = left.pop()
            given[number] = future = helper.submit(rendered, tasks[number], width)
        if future is not None:
            future.add_done_callback(give)

    give()
    for number, task in enumerate(tasks):
        with lock:
            mine = number not in given
            if mine:
                left.popleft()
        yield rendered(task, width) if mine else result(given[number], rendered, task, width)


def rendered(task: Task, width: float | None = None) -> Rendered:
    """What a task draws, as it is written."""
    with theme(width):
        drawing = task()
        if drawing.figure is None:
            return Rendered(drawing.name, drawing.title, drawing.caption, None)
        images = _images(drawing.figure)
    return Rendered(drawing.name, drawing.title, drawing.caption, images, points(drawing.figure))


def _images(figure: Figure) -> tuple[bytes, bytes, bytes]:
    """A figure as SVG, PNG and PDF. The layout is found once: savefig would find it anew for each file."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    vector, pixels, page = io.BytesIO(), io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(figure).print_svg(vector, metadata={"Date": None})
    FigureCanvasPdf(figure).print_pdf(page, metadata={"CreationDate": None})
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(pixels)
    return with_dark_palette(vector.getvalue()), pixels.getvalue(), page.getvalue()


def with_dark_palette(svg: bytes) -> bytes:
    """An SVG whose greys, from paper to ink, turn round where a reader's system is dark. Colours stay."""
    rules = []
    for grey in sorted(set(re.findall(rb"(fill|stroke): #(([0-9a-f]{2})\3{2})", svg))):
        kind, colour = grey[0].decode(), grey[1].decode()
        light = round(DARK_INK + (DARK_PAPER - DARK_INK) * int(colour[:2], 16) / 255)
        rules.append(f'[style*="{kind}: #{colour}"]{{{kind}:rgb({light},{light},{light})!important}}')
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>".encode()
    start = svg.index(b">", svg.index(b"<svg")) + 1
    return svg[:start] + style + svg[start:]
