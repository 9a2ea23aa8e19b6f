"""The headline's interval in planted worlds: it rarely leaves the truth out, and says why where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from slope_worlds import DEPTH, SIZE, WIDTH, WORLDS, World

from initdist import names
from multirun_analysis.report.sentences import answer
from multirun_analysis.stats import analyze
from multirun_analysis.stats.regression.headline import headline


@pytest.mark.parametrize(("world", "printed"), WORLDS.items(), ids=str)
def test_the_interval_is_rarely_wrong_where_it_is_printed(world: World, printed: float) -> None:
    rng, repeats = np.random.default_rng(3), 200
    found = [headline(*world.draw(rng)).interval for _ in range(repeats)]
    wrong = sum(item is not None and not item.low <= world.mean <= item.high for item in found)
    assert wrong / repeats <= 0.09
    assert sum(item is not None for item in found) / repeats >= printed


def test_it_says_why_there_is_no_interval() -> None:
    rng = np.random.default_rng(4)
    two = headline(*World(2, 9).draw(rng)).note
    assert two.startswith("2 groups are too few to say how slopes differ between groups")
    assert headline(*World(2, 9, losses=2).draw(rng)).note.startswith("2 data cells are too few to say how slopes")
    assert headline(*World(1, 5).draw(rng)).note == "5 configurations, but an interval needs at least 6"
    by_size = headline(*World(2, 7, noises=5, by_size=3.0).draw(rng)).note
    assert by_size.startswith("slopes differ with train size (p = ")
    assert by_size.endswith("needs at least 3 levels, but there are 2")
    assert "deviations from the line may go with depth" in headline(*World(1, 8, depths=2, by_depth=2.0).draw(rng)).note
    assert headline(np.zeros(4), np.ones(4), np.arange(4) // 2).note.startswith("no group holds two configurations")


def test_opposite_slopes_on_the_same_data_have_no_mean() -> None:
    y, x, group, data, axes = World(1, 12, losses=2).draw(np.random.default_rng(12))
    found = headline(np.where(group == 1, -3 * y, y), x, group, data, axes)
    assert found.note.startswith("the slopes of 2 groups of the same data differ (p = ")
    assert found.lowest < -2 < 0.5 < found.highest


def test_equal_slopes_are_rarely_said_to_differ_where_the_noise_falls_with_width() -> None:
    rng = np.random.default_rng(13)
    assert np.mean([headline(*World(6, 7, uneven=0.5).draw(rng)).heterogeneous for _ in range(200)]) <= 0.1


def test_how_much_the_measure_varies_in_a_group_changes_nothing() -> None:
    """So the distance and the distance over sqrt(n) have one headline."""
    y, x, group, data, axes = World(4, 6).draw(np.random.default_rng(14))
    factor = np.array([0.01, 1, 7, 300])[group]
    one, other = headline(y, x, group, data, axes), headline(y, x * factor, group, data, axes)
    assert (other.slope, other.interval.low) == (pytest.approx(one.slope), pytest.approx(one.interval.low))


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
    assert (found.lowest, found.highest) == (
        pytest.approx(-1.4 * x[:8].std(), abs=0.2),
        pytest.approx(1.55 * x[:8].std(), abs=0.2),
    )
    assert found.verdict == "includes 0"


def standardized(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return np.concatenate([(x[groups == g] - x[groups == g].mean()) / x[groups == g].std() for g in np.unique(groups)])


def test_over_groups_it_is_the_t_interval_of_their_slopes() -> None:
    y, x, g, data, _ = World(5, 4, differ=2.0).draw(np.random.default_rng(6))
    own = [np.polyfit(standardized(x, g)[g == k], y[g == k], 1)[0] for k in range(5)]
    found = headline(y, x, g, data)
    assert (found.over, found.basis) == ("data cells", "over groups")
    assert found.slope == pytest.approx(np.mean(own))
    half = 2.7764451 * np.std(own, ddof=1) / np.sqrt(5)  # t with 4 degrees of freedom
    assert (found.interval.low, found.interval.high) == pytest.approx((np.mean(own) - half, np.mean(own) + half))


def test_groups_of_one_data_cell_count_as_one() -> None:
    """Three losses, say, on the same data: their slopes are averaged before cells are compared."""
    y, x, g, _, _ = World(7, 4, differ=2.0).draw(np.random.default_rng(7))
    own = np.array([np.polyfit(standardized(x, g)[g == k], y[g == k], 1)[0] for k in range(7)])
    means = np.array([own[:3].mean(), own[3], own[4:6].mean(), own[6]])
    found = headline(y, x, g, {SIZE: np.array([0, 0, 0, 1, 2, 2, 3])[g]})
    assert (found.groups, found.cells, found.basis) == (7, 4, "over data cells")
    assert found.slope == pytest.approx(means.mean())
    half = 3.1824463 * np.std(means, ddof=1) / 2  # t with 3 degrees of freedom
    assert found.interval.high - found.interval.low == pytest.approx(2 * half)


def test_over_sizes_it_is_the_t_interval_of_their_mean_slopes() -> None:
    y, x, g, data, _ = World(4, 6, noises=3, by_size=3.0).draw(np.random.default_rng(16))
    own = np.array([np.polyfit(standardized(x, g)[g == k], y[g == k], 1)[0] for k in range(12)])
    means = own.reshape(4, 3).mean(axis=1)
    found = headline(y, x, g, data)
    assert (found.over, found.basis) == (SIZE, "clustered by train size")
    half = 3.1824463 * np.std(means, ddof=1) / 2
    assert found.interval.high - found.interval.low == pytest.approx(2 * half)


def test_over_configurations_it_is_that_of_least_squares_with_a_line_for_each_group() -> None:
    """The plain t interval, or that of HC2 with Satterthwaite's degrees of freedom: the wider one."""
    statsmodels = pytest.importorskip("statsmodels.api")
    y, x, g, _, _ = World(3, 12).draw(np.random.default_rng(9))
    z = standardized(x, g)
    columns = np.column_stack([g == k for k in range(3)] + [z * (g == k) for k in range(3)]).astype(float)
    contrast = np.array([0, 0, 0, 1 / 3, 1 / 3, 1 / 3])
    fit = statsmodels.OLS(y, columns).fit()
    found = headline(y, x, g, {SIZE: np.zeros_like(g)})  # one data cell: nothing else applies
    assert found.basis == "over configurations"
    low, high = fit.t_test(contrast).conf_int()[0]
    robust = np.sqrt(contrast @ fit.get_robustcov_results("HC2").cov_params() @ contrast)
    if found.interval.se == pytest.approx(robust):
        assert found.interval.high - found.interval.low >= high - low
    else:
        assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_misfit_that_a_level_shares_is_named_and_is_the_cluster() -> None:
    found = headline(*World(1, 8, depths=6, by_depth=1.0).draw(np.random.default_rng(8)))
    assert found.shared[DEPTH] < 0.01
    assert (found.over, found.basis) == (DEPTH, "clustered by depth")
