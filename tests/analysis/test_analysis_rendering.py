"""Figures drawn by a second process are those drawn by this one."""

from __future__ import annotations

import io

import numpy as np
import pytest
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from initdist import cores
from multirun_analysis.figures import theme
from multirun_analysis.figures.style import level_axis, log_y
from multirun_analysis.report.rendering import DPI, Renderer


def drawn(number: int) -> Figure:
    """As the analysis draws: seaborn, logarithmic axes with their own labels, a constrained layout."""
    with theme():
        figure = Figure(figsize=(4, 3), layout="constrained")
        axis = figure.add_subplot()
        x = np.repeat([64.0, 256.0, 1024.0], 5)
        y = x**0.5 + number + np.random.default_rng(number).random(len(x))
        sns.lineplot(x=x, y=y, ax=axis, errorbar=None, label=f"figure {number}")
        level_axis([axis], [64.0, 256.0, 1024.0])
        log_y([axis])
    return figure


def images(usable: int, figures: list[Figure], monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    monkeypatch.setattr(cores, "usable", lambda: usable)
    renderer = Renderer()
    try:
        return list(renderer.images(figures))
    finally:
        renderer.close()


def test_two_processes_draw_what_one_does_in_the_same_order(monkeypatch):
    one = images(1, [drawn(number) for number in range(6)], monkeypatch)
    two = images(2, [drawn(number) for number in range(6)], monkeypatch)
    assert one == two
    for number, (vector, pixels) in enumerate(one):
        assert f"figure {number}".encode() in vector
        assert Image.open(io.BytesIO(pixels)).size == (4 * DPI, 3 * DPI)


def test_figures_are_drawn_here_where_the_second_process_is_gone(monkeypatch):
    monkeypatch.setattr(cores, "usable", lambda: 2)
    renderer = Renderer()
    assert renderer._pool is not None
    assert list(renderer.images([drawn(0)]))
    for process in renderer._pool._processes.values():
        process.kill()
        process.join()
    assert list(renderer.images([drawn(number) for number in range(3)])) == images(
        1, [drawn(number) for number in range(3)], monkeypatch
    )
    renderer.close()
