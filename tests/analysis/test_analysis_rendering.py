"""Figures drawn by a second process are those drawn by this one."""

from __future__ import annotations

import io
import os
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from initdist import cores
from multirun_analysis.figures import Drawing
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.report.rendering import DPI, Rendered, render
from multirun_analysis.second import Second


def drawn(number: int) -> Drawing:
    """As the analysis draws: seaborn, logarithmic axes with their own labels, a constrained layout."""
    if number == 4:
        return Drawing("4", "", None, "nothing to draw")
    figure = Figure(figsize=(4, 3), layout="constrained")
    axis = figure.add_subplot()
    x = np.repeat([64.0, 256.0, 1024.0], 5)
    y = x**0.5 + number + np.random.default_rng(number).random(len(x))
    sns.lineplot(x=x, y=y, ax=axis, errorbar=None, label=f"figure {number}")
    level_axis([axis], [64.0, 256.0, 1024.0])
    log_y([axis])
    return Drawing(str(number), f"title {number}", figure, f"caption {number}")


TASKS = [partial(drawn, number) for number in range(6)]


@pytest.fixture(scope="module")
def alone() -> list[Rendered]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "usable", lambda: 1)
        with closing(Second()) as none:
            return list(render(TASKS, none))


def test_each_task_is_rendered_or_left_out(alone):
    for number, found in enumerate(alone):
        assert found.name == str(number)
        if number == 4:
            assert found.images is None
            assert found.caption == "nothing to draw"
            continue
        assert found.images is not None
        assert (found.title, found.caption) == (f"title {number}", f"caption {number}")
        assert f"figure {number}".encode() in found.images[0]
        assert Image.open(io.BytesIO(found.images[1])).size == (4 * DPI, 3 * DPI)


def test_two_processes_draw_what_one_does_in_the_same_order(alone, monkeypatch):
    monkeypatch.setattr(cores, "usable", lambda: 2)
    with closing(Second()) as helper:
        helper.start()
        assert list(render(TASKS, helper)) == alone
        assert list(render(TASKS[:2], helper)) == alone[:2]
        assert helper.call(os.getpid) != os.getpid()


def test_figures_are_drawn_here_where_the_second_process_is_gone(alone, monkeypatch):
    monkeypatch.setattr(cores, "usable", lambda: 2)
    with closing(Second()) as helper:
        helper.start()
        assert helper._pool is not None
        assert list(render(TASKS[:1], helper)) == alone[:1]
        for process in helper._pool._processes.values():
            process.kill()
            process.join()
        assert list(render(TASKS, helper)) == alone
        assert helper.call(os.getpid) == os.getpid()
