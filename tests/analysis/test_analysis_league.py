"""The league table on planted worlds: frames of known truth, as load_runs would return them."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import multirun_analysis
from initdist import names
from multirun_analysis.stats import claims, league_table, plain
from multirun_analysis.stats.catalogue import Entry, entry, read_catalogue
from multirun_analysis.stats.closed_form import xavier_norm
from multirun_analysis.stats.league.candidates import candidates, oriented

WIDTH, SIZE, NOISE = "model.width", "dataset.train_size", "noise.level"
QUICK = {"resamples": 200, "permutations": 39}
CATALOGUE = {
    "distance_from_init": Entry("distance_from_init", "core", normalization="root"),
    "bound": Entry("bound", "bounds", normalization="none"),
    "margin": Entry("margin", "core", orientation=-1),
}


def world(seed=0, widths=(16, 32, 64, 128), sizes=(100, 200, 400), noises=(0.0, 0.3), seeds=4, hidden=0.01):
    """The gap falls with n and rises with noise; `carrier` holds what the axes do not determine of it.

    The distance rises with n and noise and shrinks with width. `width_only` is the width; the gap does not follow it.
    """
    rng = np.random.default_rng(seed)
    rows = list(product(sizes, noises, widths, range(seeds)))
    frame = pd.DataFrame(rows, columns=[SIZE, NOISE, WIDTH, names.SEED])
    frame = frame.assign(**{"model.name": "mlp", "model.init": "xavier", "model.depth": 2, "model.init_scale": 1.0})
    frame = frame.assign(input_shape="1x8x8", classes="10", test_size="10000")
    configuration = frame.groupby([SIZE, NOISE, WIDTH]).ngroup().to_numpy()
    own = rng.normal(size=configuration.max() + 1)[configuration] + 0.1 * rng.normal(size=len(frame))
    exponent = -0.1 + 0.01 * rng.normal(size=seeds)[frame[names.SEED]]
    frame[names.DISTANCE] = (
        2 * (frame[SIZE] / 100) ** 0.3 * np.exp(frame[NOISE]) * (frame[WIDTH] / 16) ** exponent
        * np.exp(0.01 * rng.normal(size=len(frame)))
    )  # fmt: skip
    gap = 0.3 - 0.05 * np.log(frame[SIZE] / 100) + 0.2 * frame[NOISE] + hidden * own
    frame[names.GAP] = gap + 0.001 * rng.normal(size=len(frame))
    frame[names.TRAIN_ERROR] = 0.0
    frame[names.TEST_ERROR] = frame[names.GAP]
    frame["measure/carrier"] = own + 0.01 * rng.normal(size=len(frame))
    frame["measure/gap_itself"] = frame[names.GAP]
    frame["measure/useless"] = rng.normal(size=len(frame))
    frame["measure/width_only"] = frame[WIDTH].astype(float)
    start = np.array([xavier_norm(64, width, 2, 10) for width in frame[WIDTH]])
    frame["measure/param_norm"] = start**2 + frame[names.DISTANCE] ** 2
    return frame


@pytest.fixture(scope="module")
def table():
    return league_table(world(), catalogue=CATALOGUE, **QUICK)


def test_a_measure_equal_to_the_gap_leads_under_every_statistic(table):
    row = table.standing("gap_itself")
    assert [row.score(name) for name in ("tau", "tau_within", "psi", "partial")] == pytest.approx([1, 1, 1, 1])
    assert set(row.ranks.values()) == {1}
    assert row.sign_error.maximum == 0
    assert table.leaders["tau"] == table.leaders["information"] == table.leaders["gain"] == "gap_itself"
    assert (row.information.value, row.information.verdict) == (pytest.approx(1), "above its null")
    assert row.prediction.left_out_both == pytest.approx(1)


def test_what_the_axes_do_not_determine_is_found_in_the_measure_that_carries_it(table):
    row = table.standing("carrier")
    assert row.tau_within.verdict == row.partial.verdict == row.within.verdict == "positive"
    assert row.across_seeds.verdict == "positive"
    assert row.prediction.gain > 0.05
    assert row.ranks["tau_within"] <= 2
    assert row.within.slope == pytest.approx(0.01, rel=0.1)


def test_information_of_a_carrier_is_above_its_null_where_the_axes_explain_less():
    row = league_table(world(hidden=0.1), measures=["carrier"], catalogue=CATALOGUE, **QUICK).rows[0]
    assert row.information.verdict == row.information_pgdl.verdict == "above its null"
    assert row.information.value > row.information.null_high > row.information.null


def test_a_useless_measure_is_called_useless(table):
    row = table.standing("useless")
    assert row.tau.verdict == row.tau_within.verdict == row.psi.average.verdict == "includes 0"
    assert row.partial.verdict == row.controlled.verdict == "includes 0"
    assert row.information.verdict == "not above its null"
    assert row.prediction.gain < 0.05
    assert row.differences["tau_within"].verdict == "worse than the leader"
    assert row.differences["tau_within"].low < row.differences["tau_within"].value
    assert 0.3 < row.sign_error.mean < 0.7


def test_the_width_as_a_measure_is_determined_by_the_axes(table):
    row = table.standing("width_only")
    assert row.partial.value is None
    assert row.controlled.note == "the controls determine the regressor" or row.controlled.verdict == "includes 0"
    assert row.across_seeds.slope is None
    assert row.psi.by_axis[SIZE].value is None
    assert row.psi.by_axis[WIDTH].value is not None


def test_a_width_trend_makes_a_useless_measure_look_useful_until_the_axes_are_given():
    frame = world(1)
    frame[names.GAP] -= 0.05 * np.log2(frame[WIDTH])  # the gap now falls with the width, by itself
    rng = np.random.default_rng(2)
    frame["measure/follows_width"] = -np.log2(frame[WIDTH]) + 0.1 * rng.normal(size=len(frame))
    row = league_table(frame, measures=["follows_width"], catalogue=CATALOGUE, **QUICK).rows[0]
    assert row.tau_within.verdict == row.within.verdict == row.width_only.verdict == "positive"
    assert row.psi.by_axis[WIDTH].value > 0.8
    assert abs(row.psi.by_axis[SIZE].value) < 0.6
    assert row.partial.verdict == row.controlled.verdict == row.across_seeds.verdict == "includes 0"
    assert abs(row.prediction.gain) < 0.05


def test_a_confounder_turns_pooled_and_within_group_associations_opposite():
    frame = world(3)
    carrier = frame["measure/carrier"]
    frame["measure/confounded"] = carrier + 10 * np.log(frame[SIZE])  # between groups it rises where the gap falls
    row = league_table(frame, measures=["confounded"], catalogue=CATALOGUE, **QUICK).rows[0]
    assert (row.within.verdict, row.tau_within.verdict) == ("positive", "positive")
    assert row.pooled.slope < 0
    assert row.tau.verdict == "negative"
    assert row.psi.by_axis[SIZE].value < -0.8
    assert row.psi.by_axis[WIDTH].value > 0.8


def test_the_slopes_of_the_table_are_statsmodels(table):
    frame = world()
    means = frame.groupby([SIZE, NOISE, WIDTH], as_index=False)[[names.GAP, "measure/carrier"]].mean()
    group = pd.get_dummies(means[SIZE].astype(str) + means[NOISE].astype(str), dtype=float)
    fit = sm.OLS(means[names.GAP], pd.concat([means["measure/carrier"], group], axis=1)).fit()
    row = table.standing("carrier")
    assert row.within.slope == pytest.approx(fit.params["measure/carrier"])
    assert (row.within.interval.low, row.within.interval.high) == pytest.approx(
        tuple(fit.conf_int().loc["measure/carrier"])
    )
    controls = sm.add_constant(
        pd.DataFrame(
            {"x": means["measure/carrier"], "n": np.log(means[SIZE]), "p": means[NOISE], "w": np.log(means[WIDTH])}
        )
    )
    fit = sm.OLS(means[names.GAP], controls).fit()
    assert row.controlled.slope == pytest.approx(fit.params["x"])
    assert row.controlled.interval.low == pytest.approx(fit.conf_int().loc["x", 0])


def test_the_baseline_is_the_hyperparameters_alone(table):
    frame = world()
    means = frame.groupby([SIZE, NOISE, WIDTH], as_index=False)[names.GAP].mean()
    z = sm.add_constant(np.column_stack([np.log(means[SIZE]), means[NOISE], np.log(means[WIDTH])]))
    fit = sm.OLS(means[names.GAP], z).fit()
    assert table.baseline.r2 == pytest.approx(fit.rsquared)
    press = means[names.GAP] - fit.resid / (1 - fit.get_influence().hat_matrix_diag)
    from scipy.stats import kendalltau

    assert table.baseline.tau.value == pytest.approx(kendalltau(press, means[names.GAP]).statistic)
    assert table.baseline.hyperparameters == (f"log {SIZE}", NOISE, f"log {WIDTH}")


def test_the_table_is_the_same_again_and_whatever_the_order_of_the_rows(table):
    frame = world()
    again = league_table(frame, catalogue=CATALOGUE, **QUICK)
    assert json.dumps(plain(again)) == json.dumps(plain(table))
    shuffled = league_table(frame.sample(frac=1, random_state=0), catalogue=CATALOGUE, **QUICK)
    assert shuffled.table["tau_within"].tolist() == pytest.approx(table.table["tau_within"].tolist())


def test_ties_share_a_place_and_the_same_ranking_is_named():
    frame = world()
    frame["measure/carrier_again"] = frame["measure/carrier"] * 1.0
    table = league_table(frame, catalogue=CATALOGUE, **QUICK)
    first, second = table.standing("carrier"), table.standing("carrier_again")
    assert (first.ranks, first.same_as, second.same_as) == (second.ranks, "", "carrier")


def test_infinite_has_the_worst_rank_and_stays_out_of_regressions_and_undefined_is_counted():
    frame = world()
    worst = frame[names.GAP] > frame[names.GAP].quantile(0.8)
    frame["measure/bound"] = np.where(worst, np.inf, frame[names.GAP])
    frame["measure/absent"] = np.nan
    frame["measure/partly"] = frame["measure/carrier"].where(frame[NOISE] == 0)
    table = league_table(frame, catalogue=CATALOGUE, **QUICK)
    bound, partly = table.standing("bound"), table.standing("partly")
    assert bound.infinite == worst.sum()
    assert bound.tau.value > 0.9
    assert bound.within.slope == pytest.approx(1)
    assert (partly.undefined, partly.configurations) == ((frame[NOISE] > 0).sum(), 12)
    assert partly.differences["tau_within"].value == pytest.approx(
        1
        - league_table(frame[frame[NOISE] == 0], measures=["partly"], catalogue=CATALOGUE, **QUICK)
        .rows[0]
        .tau_within.value
    )
    assert table.unranked == ("absent",)
    assert "Undefined for every network: absent." in table.notes


def test_what_was_capped_is_in_the_notes_and_a_long_list_is_short():
    frame = world(noises=tuple(k / 20 for k in range(15)), seeds=5)
    more = {f"measure/other{k}": frame["measure/carrier"] + k for k in range(6)}
    notes = league_table(frame.assign(**more), catalogue=CATALOGUE, resamples=0, permutations=0).notes
    assert f"Environments of the sign errors, drawn by a fixed seed: {NOISE} 400 of 1260." in notes
    assert "Conditional mutual information and its null: 60 of 180 configurations, drawn by a fixed seed." in notes
    (fallback,) = [note for note in notes if "catalogue" in note]
    assert fallback.startswith("11 measures are not in the catalogue")
    assert fallback.endswith(" and 7 more.")
    assert league_table(world(), catalogue=CATALOGUE, resamples=0, permutations=0).notes[:-1] == ()


def test_of_very_many_seeds_some_are_compared_and_the_errors_are_those_of_all(monkeypatch):
    """Their pairs are quadratic in the seeds: 2,000 of ten configurations took seven minutes and 11 GB."""
    frame = world(widths=(16, 128), sizes=(100, 400), noises=(0.0,), seeds=160)
    given = {"catalogue": CATALOGUE, "resamples": 0, "permutations": 0}
    some, again = league_table(frame, **given), league_table(frame, **given)
    note = "Environments of the sign errors, drawn by a fixed seed: networks of a configuration 100 of 160."
    assert note in some.notes
    monkeypatch.setattr(multirun_analysis.stats.ranks.sign_errors, "SEEDS", 160)
    every = league_table(frame, **given)
    assert note not in every.notes
    one, other, whole = (table.standing("carrier").sign_error for table in (some, again, every))
    assert one == other
    assert one.mean == pytest.approx(whole.mean, abs=0.03)
    assert one.mean != whole.mean


def test_too_few_groups_leave_the_first_rung_undecided():
    table = league_table(world(noises=(0.0,), sizes=(100, 200)), catalogue=CATALOGUE, **QUICK)
    verdict = table.verdicts[0]
    assert (verdict.measure, verdict.reached, verdict.failed) == (names.DISTANCE, None, verdict.rungs[0])
    assert verdict.rungs[0].verdict == "undecided"
    assert verdict.rungs[0].reason.startswith("2 groups are too few to say how slopes differ between groups")


def test_a_distance_that_carries_the_gap_is_supported_and_one_that_opposes_it_contradicted():
    frame = world(4, widths=(16, 32, 64, 128, 256, 512))
    for sign, verdict in ((1, "supported"), (-1, "contradicted")):
        frame[names.DISTANCE] = np.sqrt(frame[SIZE]) * np.exp(0.1 * sign * frame["measure/carrier"])
        found = league_table(frame, catalogue=CATALOGUE, **QUICK).verdicts[0]
        rungs = {rung.name: rung.verdict for rung in found.rungs}
        assert rungs == {
            "associated": verdict,
            "beyond the hyperparameters": verdict,
            "predicts": "supported" if sign > 0 else "undecided",  # better either way, but with the wrong sign
            "moves the target": "undecided",
        }, found.sentence
        assert (found.reached.name if found.reached else None) == ("predicts" if sign > 0 else None)
        assert found.failed.name == ("moves the target" if sign > 0 else "associated")
        assert found.sentence.startswith(f"distance_from_init: associated: {verdict} (36 configurations in 6 groups")


def test_one_configuration_or_one_seed_gives_a_table_without_intervals():
    one = league_table(world(widths=(16,), sizes=(100,), noises=(0.0,)), catalogue=CATALOGUE, **QUICK)
    assert one.configurations == 1
    assert {row.tau.value for row in one.rows} == {None}
    assert {rung.verdict for rung in one.verdicts[0].rungs} == {"undecided"}
    single = league_table(world(seeds=1), catalogue=CATALOGUE, **QUICK).standing("carrier")
    assert single.across_seeds.slope is None
    assert single.sign_error.mean is None
    assert single.tau_within.verdict == "positive"


def test_a_wrong_target_or_measure_says_what_there_is():
    frame = world()
    with pytest.raises(ValueError, match="target must be a column of the frame, got 'gapp'"):
        league_table(frame, "gapp")
    with pytest.raises(ValueError, match=r"measures must be among distance_from_init, .*, got distance"):
        league_table(frame, measures=["distance"])
    with pytest.raises(ValueError, match="holds none"):
        league_table(frame.assign(**{names.GAP: np.nan}))
    with pytest.raises(KeyError, match="no measure 'x'"):
        league_table(frame, measures=["carrier"], **QUICK).standing("x")


def test_normalization_and_orientation_by_hand():
    size = np.array([100.0, 400.0])
    assert oriented(np.array([5.0, 5]), size, Entry("a", normalization="root")) == pytest.approx([0.5, 0.25])
    assert oriented(np.array([4.0, 4]), size, Entry("a", normalization="square")) == pytest.approx([0.2, 0.1])
    assert oriented(np.array([9.0, 9]), size, Entry("a", normalization="log")) == pytest.approx(
        [(9 - math.log(100)) / 2, (9 - math.log(400)) / 2]
    )
    assert oriented(np.array([3.0, math.inf]), size, Entry("a", orientation=-1)).tolist() == [-3, math.inf]
    assert np.isnan(oriented(np.array([-1.0, 1]), size, Entry("a", normalization="square"))).tolist() == [True, False]


def test_totals_are_measures_and_layers_are_not():
    frame = world().assign(**{"measure/margin": 1.0, "measure/margin/layer1": 2.0})
    found = candidates(frame, CATALOGUE)
    assert [item.name for item in found.entries][:2] == [names.DISTANCE, "margin"]
    assert "margin/layer1" not in {item.name for item in found.entries}
    assert found.values[:, 0] == pytest.approx(frame[names.DISTANCE] / np.sqrt(frame[SIZE]))
    assert (found.values[:, 1] == -1).all()
    assert not next(item for item in found.entries if item.name == "carrier").known


def test_values_of_another_definition_are_not_compared():
    """Most networks have version 2, the others version 1 or nothing recorded, which is the same."""
    frame = world()
    newer = np.arange(len(frame)) < 56
    margin = np.arange(len(frame), dtype=float)
    old = [json.dumps({"margin": {"draws": 10}}) if k % 2 else None for k in range(len(frame))]
    text = np.where(newer, json.dumps({"margin": {"draws": 10, "version": 2}, "carrier": {}}), old)
    frame = frame.assign(**{"measure/margin": margin, "measure_options": text})
    found = candidates(frame, CATALOGUE)
    place = [item.name for item in found.entries].index("margin")
    assert np.array_equal(np.isnan(found.values[:, place]), ~newer)
    others = len(frame) - 56
    assert found.notes == (
        f"margin is compared as version 2: {others} networks have another definition of it and take no part "
        "(initdist.measure computes it anew).",
    )
    same = json.dumps({"margin": {"draws": 10}})
    more = frame.assign(measure_options=[same] * (len(frame) - 1) + [same.replace("10", "20")])
    (note,) = candidates(more, CATALOGUE).notes
    assert note == (
        'margin is compared as options {"draws": 10}: 1 network has another definition of it and takes no part '
        "(initdist.measure computes it anew)."
    )
    table = league_table(more, resamples=0, permutations=0)
    assert note in table.notes
    assert table.standing("margin").undefined == 1


def test_the_league_asks_for_the_gap_under_noise_where_labels_are_noisy():
    frame = world().assign(**{names.GAP_NOISY: lambda rows: rows[names.GAP] + 0.1})
    quick = {"resamples": 0, "permutations": 0}
    assert league_table(frame, **quick).target == names.GAP_NOISY
    assert league_table(frame[frame[NOISE] == 0], **quick).target == names.GAP
    assert league_table(world(), **quick).target == names.GAP


def test_the_catalogue_is_read_and_what_it_lacks_falls_back():
    catalogue = read_catalogue()
    assert catalogue["distance_from_init"].normalization == "root"
    assert catalogue["margin_p10"].orientation == -1
    assert entry("unheard_of", catalogue) == Entry("unheard_of", known=False)


def test_results_are_json(table):
    text = json.dumps(plain([table, claims(world(), catalogue=CATALOGUE)]), allow_nan=False)
    assert '"information_pgdl"' in text
    assert '"figure": "distance_against_width"' in text


def test_users_find_both_at_the_top_of_the_package():
    assert multirun_analysis.league_table is league_table
    assert multirun_analysis.claims is claims
    with pytest.raises(AttributeError, match="has no attribute 'leagues'"):
        multirun_analysis.leagues  # noqa: B018
