"""Figures as they are written."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from multirun_analysis.figures import Drawing
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.report.rendering import DPI, rendered


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


def test_a_figure_is_rendered_or_left_out():
    for number in range(6):
        found = rendered(partial(drawn, number))
        assert found == rendered(partial(drawn, number))
        assert found.name == str(number)
        if number == 4:
            assert found.images is None
            assert found.caption == "nothing to draw"
            continue
        assert found.images is not None
        assert (found.title, found.caption) == (f"title {number}", f"caption {number}")
        assert f"figure {number}".encode() in found.images[0]
        assert Image.open(io.BytesIO(found.images[1])).size == (4 * DPI, 3 * DPI)
