"""The headline's interval in planted worlds: it rarely leaves the truth out, and says why where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from slope_worlds import DEPTH, WIDTH, WORLDS, World

from initdist import names
from multirun_analysis.report.sentences import answer
from multirun_analysis.stats import analyze
from multirun_analysis.stats.regression.headline import headline

SIZE = "dataset.train_size"


@pytest.mark.parametrize(("world", "printed"), WORLDS.items(), ids=str)
def test_the_interval_is_rarely_wrong_where_it_is_printed(world: World, printed: float) -> None:
    rng, repeats = np.random.default_rng(3), 200
    found = [headline(*world.draw(rng)).interval for _ in range(repeats)]
    wrong = sum(item is not None and not item.low <= 1 <= item.high for item in found)
    assert wrong / repeats <= 0.08
    assert sum(item is not None for item in found) / repeats >= printed  # saying nothing would be right too easily


def test_it_says_why_there_is_no_interval() -> None:
    rng = np.random.default_rng(4)
    assert headline(*World(2, 9).draw(rng)).note.startswith(
        "2 groups are too few to say how slopes differ between groups"
    )
    assert headline(*World(4, 9, cells=2).draw(rng)).note.startswith(
        "2 data cells are too few to say how slopes differ"
    )
    assert headline(*World(1, 5).draw(rng)[:3]).note == "5 configurations, an interval needs 6"
    shared = headline(*World(4, 5, by_width=2.0).draw(rng)).note
    assert shared.startswith("configurations of one width lie off the line together")
    assert shared.endswith("needs 6 such levels, there are 5")
    assert "of one depth lie off the line" in headline(*World(1, 8, 4, by_depth=2.0).draw(rng)).note
    assert headline(np.zeros(4), np.ones(4), np.arange(4) // 2).note.startswith("no group holds two configurations")


def test_a_target_that_is_the_same_everywhere_is_told_as_such() -> None:
    rows = [(w, n, seed) for w in (16, 32, 64) for n in (100, 200, 400) for seed in range(3)]
    frame = pd.DataFrame(rows, columns=[WIDTH, SIZE, names.SEED])
    frame[names.DISTANCE] = np.random.default_rng(0).uniform(1, 2, len(frame))
    frame[names.TRAIN_ERROR], frame[names.TEST_ERROR], frame[names.GAP] = 0.0, 0.3, 0.3  # the mean of three rounds
    results = analyze(frame, [WIDTH, SIZE, names.SEED], names.GAP)
    same = "the generalization gap is 30.0 percentage points in all 9 configurations"
    assert answer(results) == f"Undecided: {same}, so nothing can go with it."
    row = results.league.standing(names.DISTANCE)
    assert {rung.verdict for rung in row.rungs} == {"undecided"}
    assert results.headline.note == "the target is the same throughout each group"
    assert results.judged.within.note == row.left_out.note == row.prediction.note == "the target does not vary"


def test_opposite_slopes_are_said_to_differ_not_to_be_none() -> None:
    rng = np.random.default_rng(5)
    g, w = (axis.ravel() for axis in np.indices((4, 8)))
    x = w + 0.1 * rng.normal(size=32)
    y = np.array([1.55, -1.35, 1.5, -1.4])[g] * x + 0.1 * rng.normal(size=32)
    found = headline(y, x, g, axes={WIDTH: w})
    assert found.heterogeneous
    assert (found.lowest, found.highest) == (pytest.approx(-1.4, abs=0.1), pytest.approx(1.55, abs=0.1))
    assert found.verdict == "includes 0"


def test_over_groups_it_is_the_t_interval_of_their_slopes() -> None:
    y, x, g, cell, _ = World(5, 4, differ=2.0).draw(np.random.default_rng(6))
    own = [np.polyfit(x[g == k], y[g == k], 1)[0] for k in range(5)]
    found = headline(y, x, g, cell)
    assert (found.over, found.basis) == ("data cells", "over groups")
    assert found.slope == pytest.approx(np.mean(own))
    half = 2.7764451 * np.std(own, ddof=1) / np.sqrt(5)  # t with 4 degrees of freedom
    assert (found.interval.low, found.interval.high) == pytest.approx((np.mean(own) - half, np.mean(own) + half))


def test_groups_of_one_data_cell_count_as_one() -> None:
    """Three losses, say, on the same data: their slopes are averaged before cells are compared."""
    y, x, g, _, _ = World(7, 4, differ=2.0).draw(np.random.default_rng(7))
    cell = np.array([0, 0, 0, 1, 2, 2, 3])[g]
    own = np.array([np.polyfit(x[g == k], y[g == k], 1)[0] for k in range(7)])
    means = np.array([own[:3].mean(), own[3], own[4:6].mean(), own[6]])
    found = headline(y, x, g, cell)
    assert (found.groups, found.cells, found.basis) == (7, 4, "over data cells")
    assert found.slope == pytest.approx(means.mean())
    half = 3.1824463 * np.std(means, ddof=1) / 2  # t with 3 degrees of freedom
    assert found.interval.high - found.interval.low == pytest.approx(2 * half)


def test_over_configurations_it_is_that_of_least_squares_with_a_line_for_each_group() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    y, x, g, _, _ = World(3, 12).draw(np.random.default_rng(9))
    columns = np.column_stack([g == k for k in range(3)] + [x * (g == k) for k in range(3)]).astype(float)
    test = statsmodels.OLS(y, columns).fit().t_test([0, 0, 0, 1 / 3, 1 / 3, 1 / 3])
    found = headline(y, x, g, np.zeros_like(g))  # one data cell: nothing else applies
    assert found.basis == "over configurations"
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(test.conf_int()[0]))


def test_misfit_that_a_level_shares_is_named_and_is_the_cluster() -> None:
    found = headline(*World(1, 8, 6, by_depth=1.0).draw(np.random.default_rng(8)))
    assert found.shared[DEPTH] < 0.01
    assert (found.over, found.basis) == (DEPTH, "clustered by depth")
