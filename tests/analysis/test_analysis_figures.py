"""What is drawn can be seen: inside its axes, uncut, with numbers to read. And the check of that finds faults."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from pictured import LONG, ORDINARY, TWO_SEEDS, WORLDS, pictures, world
from visible import faults

from initdist import names
from multirun_analysis import figures, load_runs
from multirun_analysis.figures import Drawing, heatmaps, theme
from multirun_analysis.figures.panels import grid, panels_of
from multirun_analysis.figures.scales import CUT, ZERO, level_axis, log_y
from multirun_analysis.figures.style import legend, marks, palette, wrapped
from multirun_analysis.runs.params import params_of
from multirun_analysis.stats.design import find_design

EVERY = {
    "league",
    "tau_by_axis",
    "correlations",
    "spread_over_seeds",
    "gap_against_measures",
    "gap_against_distance",
    "distance_against_width",
    "norm_against_width",
    "distance_against_train_size",
    "distance_against_noise",
    "errors_against_width",
    "capacity_against_width",
    "movement_by_layer",
    "distance_against_step",
    "distance_against_loss",
}
N, P, SEEDS = "distance_against_train_size", "distance_against_noise", "spread_over_seeds"
FEW = EVERY - {N, P, SEEDS, "tau_by_axis", "correlations"}
DRAWN = dict(zip(WORLDS, (EVERY - {N}, EVERY, EVERY - {N, SEEDS}, EVERY - {N, P}, FEW), strict=True))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Callable[[str], tuple[Any, dict[str, Drawing]]]:
    """World -> its store and its drawings, each drawn once."""
    found: dict[str, tuple[Any, dict[str, Drawing]]] = {}

    def of(name: str) -> tuple[Any, dict[str, Drawing]]:
        if name not in found:
            store = world(tmp_path_factory.mktemp("pictured"), name)
            with theme():
                found[name] = (store, {drawing.name: drawing for drawing in (task() for task in pictures(store))})
        return found[name]

    return of


@pytest.mark.parametrize("name", WORLDS)
def test_all_that_is_drawn_can_be_seen(drawn, name):
    _, drawings = drawn(name)
    assert {name for name, drawing in drawings.items() if drawing.figure is not None} == DRAWN[name]
    with theme():
        wrong = {d.name: faults(d.figure) for d in drawings.values() if d.figure is not None}
    assert wrong == {key: [] for key in DRAWN[name]}


def test_the_errors_of_every_panel_lie_within_the_limits_that_panels_share(drawn):
    store, drawings = drawn(ORDINARY)
    runs = load_runs(store.uri)
    expected = 100 * runs.groupby(["dataset.name", "noise.level", "model.width"])[names.TEST_ERROR].mean()
    axes = drawings["errors_against_width"].figure.axes
    for axis, (dataset, highest) in zip(axes, expected.groupby(level=0).max().items(), strict=True):
        lines = [line for line in axis.lines if line.get_linestyle() == "-"]
        found = [line.get_ydata() for line in lines]
        np.testing.assert_allclose(found, expected[dataset].unstack("model.width"))
        low, high = axis.get_ylim()
        assert low <= 0 < highest < high
    assert expected["mnist"].min() > expected["digits"].max()


def test_several_experiments_stay_in_their_rows_and_long_names_beside_the_panels(drawn):
    table = pictures(drawn(ORDINARY)[0])[0].args[0][""]
    for number in (2, 5, 13):
        with theme():
            figure = figures.league({f"{LONG}_{place}": table for place in range(number)}).figure
            assert faults(figure) == []
        heights = [float(y) for line in figure.axes[0].lines[:-1] for y in line.get_ydata()]
        assert {round(height) for height in heights} == set(range(len(table.rows)))
        assert all(abs(height - round(height)) < 0.45 for height in heights)


def test_what_has_no_place_on_a_logarithmic_axis_is_said(drawn):
    for name, drawing in drawn(TWO_SEEDS)[1].items():
        has_bands = name.startswith(
            ("distance_against_w", "distance_against_n", "distance_against_t", "norm", "movement")
        )
        assert (CUT in drawing.caption) == has_bands
        assert (ZERO in drawing.caption) == (has_bands and name != "movement_by_layer")  # that one takes moved layers
    assert not any(CUT in drawing.caption or ZERO in drawing.caption for drawing in drawn(ORDINARY)[1].values())


def test_infinite_and_zero_values_of_a_history_are_left_out(drawn):
    runs = load_runs(drawn(ORDINARY)[0].uri)
    values = {names.DISTANCE: [0.0, 1.0, 2.0, 4.0], names.TRAIN_LOSS: [2.0, sys.float_info.max, 0.5, 0.1]}
    rows = [(runs["run_id"][0], key, step, v) for key, found in values.items() for step, v in enumerate(found)]
    histories = pd.DataFrame(rows, columns=["run_id", "metric", "step", "value"])
    with theme():
        drawing = figures.distance_against_loss(runs, find_design(runs, params_of(runs)), histories)
        assert faults(drawing.figure) == []
    np.testing.assert_array_equal(drawing.figure.axes[0].lines[0].get_xydata(), [[0.5, 2.0], [0.1, 4.0]])


def test_bands_end_at_the_lower_edge_and_leave_the_rest_where_it_is():
    figure, (one, other) = _two_panels()
    one.plot([1, 2], [2.0, 4.0])
    other.plot([1, 2], [0.0, 8.0])
    other.fill_between([1, 2], [-5.0, 1.0], [3.0, 9.0])
    assert log_y([one, other]) == CUT + ZERO
    assert one.get_ylim() == other.get_ylim()
    low, high = one.get_ylim()
    assert low == pytest.approx(2 / 3)
    assert 9 < high < 11
    (band,) = [band for band in other.collections if isinstance(band, PolyCollection)]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == low
    assert set(heights) == {low, 1.0, 3.0, 9.0}
    np.testing.assert_array_equal(other.lines[0].get_ydata(), [np.nan, 8.0])
    np.testing.assert_array_equal(one.lines[0].get_ydata(), [2.0, 4.0])
    assert faults(figure) == []


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ([16, 64, 256], [16, 64, 256]),
        ([4, 5, 6, 1024], [4, 1024]),
        ([16, 1000, 1024], [16, 1024]),
        ([64, 65], [64, 65]),
        ([160, 320, 640, 1280, 2560, 5120], [160, 320, 640, 1280, 2560, 5120]),
        ([2**k for k in range(2, 12)], [4, 16, 64, 256, 1024]),
    ],
)
def test_levels_that_have_room_are_labelled(levels, shown):
    axis = Figure().add_subplot()
    axis.plot(levels, levels)
    level_axis([axis], levels)
    assert axis.xaxis.get_major_locator().locs.tolist() == shown


def test_long_texts_are_broken_where_they_can_be():
    assert wrapped("dataset = digits, p = 0.4", 34) == "dataset = digits, p = 0.4"
    assert wrapped("dataset = digits, n = 1280, p = 0.4", 18) == "dataset = digits,\nn = 1280, p = 0.4"
    assert wrapped("log_prod_of_spec_over_margin", 20) == "log_prod_of_spec_\nover_margin"
    assert wrapped("x" * 25, 10) == "x" * 9 + "\n" + "x" * 9 + "\n" + "x" * 7
    assert wrapped("", 10) == ""
    for width in (5, 9, 24):
        text = f"{LONG} = {LONG}, p = 0.4"
        assert max(map(len, wrapped(text, width).split("\n"))) <= width
        assert wrapped(text, width).replace("\n", "").replace(" ", "") == text.replace(" ", "")


def test_a_legend_of_many_numbers_shows_some_and_one_of_many_names_all():
    assert [*marks(palette(range(16)))] == [str(level) for level in range(16)]
    assert [*marks(palette(range(40)))] == [str(level) for level in range(0, 40, 3)]
    assert len(marks(palette([f"name {place}" for place in range(40)]))) == 40


def _two_panels() -> tuple[Figure, tuple[Any, Any]]:
    figure, axes = grid(panels_of(pd.DataFrame({"p": [0, 1]}), ["p"]))
    return figure, tuple(axes)


def _sound(figure: Figure, one: Any, other: Any) -> None:
    one.plot([2, 4], [2, 4], "o-")
    other.scatter([2, 4], [3, 4])
    other.fill_between([2, 4], [2, 3], [4, 5])
    legend(figure, [("level", marks(palette([1, 2])))])


def _limits_of_the_first(figure: Figure, one: Any, other: Any) -> None:
    one.set_ylim(0, 2.5)


def _edge_through_a_marker(figure: Figure, one: Any, other: Any) -> None:
    one.set_xlim(right=4)


def _below_zero(figure: Figure, one: Any, other: Any) -> None:
    other.fill_between([2, 4], [-1, 3], [4, 5])
    other.set_yscale("log")


def _bar(figure: Figure, one: Any, other: Any) -> None:
    limits = one.get_ylim()
    one.bar([3], [9])
    one.set_ylim(limits)


def _titles(figure: Figure, one: Any, other: Any) -> None:
    one.set_title(LONG)
    other.set_title(LONG)


def _legend(figure: Figure, one: Any, other: Any) -> None:
    legend(figure, [("level", marks(palette([f"name {place}" for place in range(30)])))])
    figure.set_figheight(3)


def _legend_inside(figure: Figure, one: Any, other: Any) -> None:
    figure.legends[0].set_loc("center")


def _text(figure: Figure, one: Any, other: Any) -> None:
    one.text(2, -9, "far below", clip_on=False).set_in_layout(False)


def _ticks(figure: Figure, one: Any, other: Any) -> None:
    one.set_xticks([3, 3.04], ["1024", "1025"])


def _no_numbers(figure: Figure, one: Any, other: Any) -> None:
    for axis in (one, other):  # between two powers of ten
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (_limits_of_the_first, "p = 1: 2 of 2 points of a PathCollection are off the top"),
        (_edge_through_a_marker, "p = 0: 1 of 2 points of a Line2D are off the right"),
        (_below_zero, "of a FillBetweenPolyCollection are off the bottom"),
        (_bar, "of a Rectangle are off the top"),
        (_titles, f"'{LONG}' and '{LONG}' overlap"),
        (_legend, "'name 29' is cut by the edge"),
        (_legend_inside, "'level' lies over a panel"),
        (_text, "'far below' is cut by the edge"),
        (_ticks, "'1024' and '1025' overlap"),
        (_no_numbers, "p = 0: 0 numbers along x"),
    ],
)
def test_the_check_finds_each_fault(fault, told):
    with theme():
        figure, axes = _two_panels()
        _sound(figure, *axes)
        assert faults(figure) == []
        figure, axes = _two_panels()
        _sound(figure, *axes)
        fault(figure, *axes)
        found = faults(figure)
    assert any(told in sentence for sentence in found), found


def test_a_figure_of_frame_and_design_is_that_of_the_report_and_shows_itself_in_a_notebook(drawn):
    store, of_report = drawn(ORDINARY)
    frame = load_runs(store.uri)
    with theme():
        own = figures.gap_against_distance(frame, find_design(frame, params_of(frame)))
    there = of_report["gap_against_distance"]
    assert own.caption == there.caption
    for mine, theirs in zip(own.figure.axes, there.figure.axes, strict=True):
        for one, other in zip(mine.collections, theirs.collections, strict=True):
            np.testing.assert_allclose(one.get_offsets(), other.get_offsets())
    assert own._repr_png_().startswith(b"\x89PNG")
    assert repr(own) == "Drawing('Gap against distance')"
    empty = figures.gap_against_distance(frame.iloc[:1], find_design(frame.iloc[:1], params_of(frame)))
    assert empty._repr_png_() is None
    assert repr(empty) == "Drawing('Gap against distance', left out: there is one configuration only)"


@pytest.mark.parametrize(("upright", "named"), [(0.09, True), (0.2, False)])
def test_a_heatmap_of_a_columns_width_names_its_columns_where_the_names_fit(drawn, monkeypatch, upright, named):
    """The room that a name needs stands for more measures than there are here."""
    monkeypatch.setattr(heatmaps, "UPRIGHT", upright)
    store, _ = drawn("many levels")
    (task,) = [task for task in pictures(store) if task.func is figures.correlations]
    with theme(3.25):
        drawing = task()
        assert faults(drawing.figure) == []
    assert bool(drawing.figure.axes[0].get_xticklabels()) is named
    assert ("Columns are in the order of the rows." in drawing.caption) is not named
    assert drawing.figure.get_figwidth() == 3.25
