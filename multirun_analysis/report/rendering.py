"""Figures -> SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from multirun_analysis.figures import Drawing, theme

DPI = 160


@dataclass(frozen=True)
class Rendered:
    """A figure as it is written, with its caption; or no images, and in place of the caption why it is left out."""

    name: str
    title: str
    caption: str
    images: tuple[bytes, bytes] | None  # SVG, PNG


def rendered(task: Callable[[], Drawing]) -> Rendered:
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
