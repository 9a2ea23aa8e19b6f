"""Statistics on frames of known truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from scipy.stats import t as student
from worlds import Planted, planted_slope

from initdist import names
from multirun_analysis.runs.params import typed, unparsable
from multirun_analysis.stats import NORM, OVER_SQRT_N, analyze, plain
from multirun_analysis.stats.claims.scaling import scalings
from multirun_analysis.stats.design import codes, find_design
from multirun_analysis.stats.grid import Grid, configurations
from multirun_analysis.stats.ranks.kendall import kendall_within
from multirun_analysis.stats.regression.association import slopes
from multirun_analysis.stats.regression.prediction import explained, leave_group_out


def frame_of(runs: list[Planted]) -> tuple[pd.DataFrame, list[str]]:
    """The frame that the query would make of these runs, without a store."""
    index = pd.RangeIndex(len(runs))
    params = sorted({name for run in runs for name in run.all_params()})
    columns = {name: typed([run.all_params().get(name) for run in runs], index) for name in params}
    values = pd.DataFrame([run.metrics for run in runs])
    return pd.concat([pd.DataFrame(columns), values, pd.Series(map(str, index), name="run_id")], axis=1), params


@pytest.fixture(scope="module")
def world():
    frame, params = frame_of(planted_slope(0.01))
    return frame, params, analyze(frame, params, names.GAP)


def test_axes_are_the_params_that_vary_and_seeds_are_none(world):
    _, _, results = world
    assert results.design.group_axes == ("dataset.train_size", "noise.level")
    assert results.design.within_axes == ("model.width",)
    assert results.design.aliases == {}


def test_an_axis_that_moves_with_another_is_named_as_its_alias():
    runs = [
        Planted({"loss.name": loss, "stop.train_loss": stop, "model.width": w}, {names.GAP: 0.1, names.DISTANCE: 1.0})
        for loss, stop in (("cross_entropy", 0.01), ("squared_error", 0.1))
        for w in (8, 16)
    ]
    design = find_design(*frame_of(runs))
    assert design.axes == ("loss.name", "model.width")
    assert design.aliases == {"stop.train_loss": "loss.name"}


def test_a_width_that_moves_with_the_sample_size_does_not_pass_as_within():
    runs = [
        Planted({"dataset.train_size": 10 * w, "model.width": w}, {names.GAP: w / 100, names.DISTANCE: float(w)}, s)
        for w in (8, 16, 32, 64, 128, 256)
        for s in (0, 1)
    ]
    frame, params = frame_of(runs)
    results = analyze(frame, params, names.GAP)
    assert results.design.aliases == {"model.width": "dataset.train_size"}
    assert results.associations[0].within.note == "no group holds two configurations"
    assert results.associations[0].within.verdict == "undecided"
    assert results.associations[0].pooled.slope == pytest.approx(0.01)


def test_unknown_params_that_vary_become_axes_that_groups_hold_fixed():
    runs = [
        Planted({"constraint.radius": r, "model.width": w}, {names.GAP: 0.1, names.DISTANCE: 1.0})
        for r in ("None", "0.5")
        for w in (8, 16)
    ]
    design = find_design(*frame_of(runs))
    assert design.group_axes == ("constraint.radius",)


def test_a_configuration_is_the_mean_over_its_seeds(world):
    frame, params, results = world
    means = configurations(frame, find_design(frame, params))
    keys = ["dataset.train_size", "noise.level", "model.width"]
    expected = frame.groupby(keys)[names.GAP].mean()
    assert means.set_index(keys)[names.GAP].to_dict() == pytest.approx(expected.to_dict())
    assert (means["n_seeds"] == 4).all()
    assert len(results.means) == 30


def test_the_planted_slope_is_recovered_within_groups(world):
    within = world[2].associations[0].within
    assert within.interval.low < 0.01 < within.interval.high
    assert within.verdict == "positive"
    assert (within.points, within.groups, within.interval.df) == (30, 6, 30 - 6 - 1)
    assert within.clusters == 6
    assert within.clustered.low < 0.01 < within.clustered.high


def test_the_within_slope_is_the_regression_with_dummies_on_means(world):
    means = world[2].means
    group = pd.get_dummies(means["dataset.train_size"].astype(str) + means["noise.level"].astype(str), dtype=float)
    design = np.column_stack([means[names.DISTANCE], group])
    expected = np.linalg.lstsq(design, means[names.GAP])[0][0]
    assert world[2].associations[0].within.slope == pytest.approx(expected)


def test_a_confounder_turns_the_pooled_slope_round(world):
    association = world[2].associations[0]
    assert association.within.slope > 0 > association.pooled.slope
    assert association.tau_within.tau > 0 > association.tau_pooled.tau
    assert [group.slope.slope > 0 for group in association.groups] == [True] * 6


def test_over_sqrt_n_has_the_same_sign_and_its_own_scale(world):
    association = world[2].associations[1]
    assert association.measure == OVER_SQRT_N
    one = [
        g.slope.slope / h.slope.slope for g, h in zip(association.groups, world[2].associations[0].groups, strict=True)
    ]
    sizes = [g.group["dataset.train_size"] for g in association.groups]
    assert one == pytest.approx(np.sqrt(sizes))


def test_over_sqrt_n_is_derived_where_it_was_not_recorded(world):
    frame, params, results = world
    without = analyze(frame.drop(columns=OVER_SQRT_N), params, names.GAP)
    assert without.associations[1].within.slope == pytest.approx(results.associations[1].within.slope)


def test_the_slope_across_seeds_is_that_of_deviations_from_the_configuration(world):
    frame, _, results = world
    keys = ["dataset.train_size", "noise.level", "model.width"]
    own = frame[[names.GAP, names.DISTANCE]]
    # What a seed shares over all widths of a data cell is taken out too.
    cell, all_own = ["dataset.train_size", "noise.level"], list(own)
    by_configuration, by_seed, by_cell = (
        frame.groupby(by)[all_own].transform("mean") for by in (keys, [*cell, names.SEED], cell)
    )
    deviation = own - by_configuration - by_seed + by_cell
    expected = (deviation[names.GAP] @ deviation[names.DISTANCE]) / (deviation[names.DISTANCE] ** 2).sum()
    across = results.associations[0].across_seeds
    assert across.slope == pytest.approx(expected)
    assert across.interval.df == 120 - 30 - 6 * 3 - 1
    assert across.clusters == 30  # configurations, or 5 widths x 4 seeds: whichever gives the wider interval
    narrow = across.interval.high - across.interval.low
    assert 0.5 * narrow < across.clustered.high - across.clustered.low < 2 * narrow


def test_what_seeds_share_over_all_configurations_is_no_association_across_them():
    """A hard sample moves every network of its seed: with three seeds that alone looks like ninety independent ones."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        frame, _ = frame_of(planted_slope(seeds=3))
        hard = rng.normal(size=(2, 3))
        frame[names.DISTANCE] += hard[0][frame[names.SEED]] + 0.1 * rng.normal(size=len(frame))
        frame[names.GAP] = frame["noise.level"] + 0.1 * hard[1][frame[names.SEED]] + 0.01 * rng.normal(size=len(frame))
        design = find_design(frame, ["dataset.train_size", "noise.level", "model.width", names.SEED])
        found = slopes(
            Grid.of(frame, design), frame[names.GAP].to_numpy(), frame[[names.DISTANCE]].to_numpy(), [names.SEED]
        )[0]
        alarms += found.across_seeds.verdict in ("positive", "negative")
    assert alarms <= 6  # of 40, at 5 %


def test_one_seed_has_no_slope_across_seeds():
    frame, params = frame_of(planted_slope(seeds=1))
    results = analyze(frame, params, names.GAP)
    assert results.associations[0].across_seeds.note == "no group holds two networks"
    assert results.associations[0].within.verdict == "positive"
    assert {s.note for s in results.scalings} == {"1 seed, but an interval needs at least 3"}


def test_width_only_holds_every_other_axis(world):
    association = world[2].associations[0]
    assert association.width_only.slope == pytest.approx(association.within.slope)
    runs = [
        Planted(
            {**run.params, "model.depth": depth},
            run.metrics | {names.GAP: run.metrics[names.GAP] + 0.1 * depth},
            run.seed,
        )
        for run in planted_slope(seeds=2)
        for depth in (1, 2)
    ]
    frame, params = frame_of(runs)
    both = analyze(frame, params, names.GAP).associations[0]
    assert (both.width_only.groups, both.within.groups) == (12, 6)


def test_controls_are_logs_levels_and_dummies():
    runs = [
        Planted({"model.width": w, "noise.level": p, "optimizer.name": o}, {names.GAP: 0.1, names.DISTANCE: 1.0})
        for w in (8, 32)
        for p in (0.0, 0.5)
        for o in ("sgd", "adam")
    ]
    frame, params = frame_of(runs)
    design = find_design(frame, params)
    means = configurations(frame, design)
    matrix, labels = Grid.of(means, design).hyperparameters
    assert labels == ["noise.level", "log model.width", "optimizer.name=adam"]
    assert matrix[:, 1].tolist() == pytest.approx(np.log(means["model.width"]).tolist())
    assert set(matrix[:, 2]) == {0.0, 1.0}


def test_a_distance_without_effect_adds_nothing_to_the_hyperparameters():
    rng = np.random.default_rng(0)
    runs = [
        Planted(
            {"dataset.train_size": n, "model.width": w},
            {names.GAP: 0.1 * math.log(n) + rng.normal(0, 0.01), names.DISTANCE: rng.normal(5, 1)},
        )
        for n in (100, 200, 400, 800, 1600, 3200)
        for w in (8, 16, 32, 64)
    ]
    frame, params = frame_of(runs)
    prediction = analyze(frame, params, names.GAP).associations[0].prediction
    assert prediction.r2 > 0.98
    assert prediction.left_out > 0.9
    assert abs(prediction.gain) < 0.05
    assert prediction.left_out_measure < 0.3
    assert prediction.groups == 6


def test_a_distance_that_carries_the_gap_gains_over_the_hyperparameters():
    rng = np.random.default_rng(0)
    runs = []
    for n in (100, 200, 400, 800, 1600, 3200):
        for w in (8, 16, 32, 64):
            distance = rng.normal(5, 1)
            measured = {names.GAP: 0.02 * distance, names.DISTANCE: distance}
            runs.append(Planted({"dataset.train_size": n, "model.width": w}, measured))
    frame, params = frame_of(runs)
    prediction = analyze(frame, params, names.GAP).associations[0].prediction
    assert prediction.left_out_both == pytest.approx(1)
    assert prediction.gain > 0.9


def test_leave_group_out_agrees_with_a_loop_of_lstsq():
    rng = np.random.default_rng(2)
    y, z, groups = rng.normal(size=20), rng.normal(size=(20, 2)), np.repeat(np.arange(4), 5)
    error = baseline = 0.0
    for group in range(4):
        train = groups != group
        design = np.column_stack([np.ones(20), z])
        beta = np.linalg.lstsq(design[train], y[train])[0]
        error += np.sum((y - design @ beta)[~train] ** 2)
        baseline += np.sum((y - y[train].mean())[~train] ** 2)
    assert leave_group_out(y, z, groups) == pytest.approx(1 - error / baseline)
    assert leave_group_out(y, rng.normal(size=(20, 15)), groups) is None


def test_explained_variance_of_a_line_is_the_squared_correlation():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 12))
    r2, adjusted = explained(y, x[:, None])
    assert r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert adjusted == pytest.approx(1 - (1 - r2) * 11 / 10)
    assert explained(np.ones(4), x[:4, None]) == (None, None)


def test_two_groups_are_too_few_to_leave_one_out():
    frame, params = frame_of(planted_slope(noises=(0.0,), seeds=2))
    prediction = analyze(frame, params, names.GAP).associations[0].prediction
    assert prediction.gain is None
    assert prediction.note == "leaving one group out needs at least 3 groups, but there are 2"


def test_tau_in_one_group_is_scipys_with_ties():
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, size=(2, 30)).astype(float)
    assert kendall_within(x, y, np.zeros(30)).tau == pytest.approx(kendalltau(x, y).statistic)
    assert kendall_within(x, np.ones(30), np.zeros(30)).tau is None


def test_tau_within_groups_counts_no_pair_across():
    x = np.array([1.0, 2, 3, 11, 12, 13])
    y = np.array([1.0, 2, 3, -9, -8, -7])
    assert kendall_within(x, y, np.array([0, 0, 0, 1, 1, 1])).tau == pytest.approx(1)
    assert kendall_within(x, y, np.zeros(6)).tau < 0
    assert kendall_within(x, y, np.array([0, 0, 0, 1, 1, 1])).pairs == 6


def power_law(exponents, widths=(8, 16, 32, 64), drop=()):
    runs = [
        Planted({"model.width": w}, {names.GAP: 0.1, names.DISTANCE: (3 + seed) * w**exponent}, seed)
        for seed, exponent in enumerate(exponents)
        for w in widths
        if (seed, w) not in drop
    ]
    return frame_of(runs)


def test_exponents_are_the_mean_over_seeds_with_a_t_interval():
    exponents = (-0.21, -0.19, -0.17, -0.23)
    frame, params = power_law(exponents)
    (result,) = scalings(frame, find_design(frame, params), "model.width", names.DISTANCE, ["seed"])
    half = student.ppf(0.975, 3) * np.std(exponents, ddof=1) / 2
    assert result.slope == pytest.approx(-0.2)
    assert (result.interval.low, result.interval.high) == pytest.approx((-0.2 - half, -0.2 + half))
    assert (result.verdict, result.seeds, result.levels) == ("shrinks", 4, 4)


@pytest.mark.parametrize(
    ("exponents", "verdict"),
    [
        ((0.02, 0.03, 0.01), "does not grow"),
        ((0.5, 0.51, 0.52), "grows"),
        ((-0.5, 0.0, 0.5), "open"),
        ((0.1,), "undecided"),
    ],
)
def test_verdicts_on_growth(exponents, verdict):
    frame, params = power_law(exponents)
    design = find_design(frame, params)
    (result,) = scalings(frame, design, "model.width", names.DISTANCE, ["seed"] if len(exponents) > 1 else [])
    assert result.verdict == verdict


def test_a_seed_that_lacks_a_width_counts_with_those_it_has():
    frame, params = power_law((-0.2, -0.1, -0.3, 0.1), drop={(3, 8)})
    (result,) = scalings(frame, find_design(frame, params), "model.width", names.DISTANCE, ["seed"])
    design = np.column_stack([pd.get_dummies(frame[name]) for name in ("seed", "model.width")]).astype(float)
    effects = np.linalg.lstsq(design, np.log(frame[names.DISTANCE].to_numpy()))[0][-4:]
    assert result.slope == pytest.approx(np.polyfit(np.log([8, 16, 32, 64]), effects, 1)[0])
    assert (result.seeds, result.incomplete_seeds) == (4, 1)


def test_there_is_an_exponent_for_each_cell_in_width_and_in_sample_size(world):
    found = [(s.axis, s.quantity) for s in world[2].scalings]
    assert found.count(("model.width", names.DISTANCE)) == 6
    assert found.count(("dataset.train_size", names.DISTANCE)) == 15
    assert found.count(("model.width", NORM)) == 6
    assert {s.verdict for s in world[2].scalings if s.axis == "model.width" and s.quantity == NORM} == {"grows"}


def test_one_configuration_gives_results_without_slopes():
    frame, params = frame_of([Planted({}, {names.GAP: 0.1 * s, names.DISTANCE: 1.0 + s}, s) for s in range(3)])
    results = analyze(frame, params, names.GAP)
    association = results.associations[0]
    assert len(results.means) == 1
    assert association.within.slope is None
    assert association.across_seeds.slope == pytest.approx(0.1)
    assert association.across_seeds.verdict == "undecided"
    assert results.scalings == ()


def test_the_sensitivity_repeats_the_regression_with_more_networks(world):
    frame, params, results = world
    fewer = frame[frame["model.width"] < 256]
    wider = analyze(fewer, params, names.GAP, frame)
    assert wider.unconverged == len(frame) - len(fewer)
    assert wider.sensitivity[0].within == results.associations[0].within
    assert analyze(frame, params, names.GAP, frame).sensitivity == ()


def test_results_are_json_without_nan(world):
    text = json.dumps(plain(world[2]), allow_nan=False)
    loaded = json.loads(text)
    assert loaded["associations"][0]["within"]["verdict"] == "positive"
    assert loaded["associations"][0]["prediction"]["gain"] is not None
    assert plain({"a": math.nan, "b": np.float64(math.inf), "c": np.int64(3), "d": np.True_}) == {
        "a": None, "b": None, "c": 3, "d": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2"], [1, 2]),
        (["1", "0.5", "1e-3"], [1.0, 0.5, 0.001]),
        (["1", "None"], [1.0, None]),
        (["True", "False"], ["true", "false"]),
        (["sgd", "0.5"], ["sgd", "0.5"]),
        ([None, "null"], [None, None]),
    ],
)
def test_params_get_the_type_that_fits_every_run(texts, values):
    series = typed(texts, pd.RangeIndex(len(texts)))
    assert [None if pd.isna(value) else value for value in series] == values


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, ""),
        ({"noise.level": "much"}, "noise.level='much' is not a number"),
        ({"optimizer.lr": "nan"}, "optimizer.lr='nan' is not a number"),
        ({"model.width": "-8"}, "model.width='-8' is not positive"),
        ({"model.width": None}, "model.width is missing"),
        ({"model.depth": "None"}, ""),
    ],
)
def test_unparsable_params_say_which(params, said):
    good = {"model.width": "8", "dataset.train_size": "100"}
    columns = {key: np.array([good.get(key), (good | params).get(key)], dtype=object) for key in good | params}
    assert unparsable(columns, 2) == ["", said]


def test_codes_number_combinations_in_order_of_appearance():
    frame = pd.DataFrame({"a": [2, 1, 2, np.nan, np.nan], "b": ["x", "x", "y", "x", "x"]})
    assert codes(frame, ["a", "b"]).tolist() == [0, 1, 2, 3, 3]
    assert codes(frame, []).tolist() == [0] * 5
