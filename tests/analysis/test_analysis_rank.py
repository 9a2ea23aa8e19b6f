"""Tau, Psi, partial rank correlation, information and sign errors: hand-worked cases and independent programs."""

from __future__ import annotations

import base64
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from coverage import CORRELATIONS, coverage, false_alarms
from scipy.stats import kendalltau

from multirun_analysis.stats.design import find_design
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.intervals import differences_from_leader, holm
from multirun_analysis.stats.ranks.information import condition, informations
from multirun_analysis.stats.ranks.paired_errors import paired_on_test_set
from multirun_analysis.stats.ranks.pairs import linearized, multinomial_weights, pairs_within, tau_b, variance
from multirun_analysis.stats.ranks.ranking import PairStatistics
from multirun_analysis.stats.ranks.sign_errors import (
    certainty,
    environments,
    mcnemar_certainty,
    seed_pairs,
    sign_errors,
)

WIDTH, SIZE = "model.width", "dataset.train_size"


def grid(widths, sizes, seeds=1, **columns):
    rows = list(product(sizes, widths, range(seeds)))
    frame = pd.DataFrame(rows, columns=[SIZE, WIDTH, "seed"]).assign(**columns)
    return frame, find_design(frame, [SIZE, WIDTH, "seed"])


def ones(rows):
    return np.ones((1, rows), dtype=np.float32)


def conditioned(frame, design):
    return condition(Grid.of(frame, design), frame["gap"].to_numpy(dtype=float))


def test_pairs_are_those_within_each_code():
    pairs = pairs_within(np.array([0, 1, 0, 1, 0, 2]))
    assert {frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)} == {
        frozenset(pair) for pair in ((0, 2), (0, 4), (2, 4), (1, 3))
    }
    assert pairs.total == 4
    assert pairs_within(np.arange(5)).total == 0


def test_too_many_pairs_are_drawn_without_repetition_and_the_same_again():
    pairs, again = pairs_within(np.zeros(400, dtype=int), 500), pairs_within(np.zeros(400, dtype=int), 500)
    assert len(set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))) == 500
    assert (pairs.first < pairs.second).all()
    assert pairs.second.max() < 400
    assert pairs.total == 400 * 399 // 2
    assert (pairs.first == again.first).all()


def test_tau_is_scipys_with_ties_in_both():
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 6, size=(30, 3)).astype(float), rng.integers(0, 6, size=30).astype(float)
    pairs = pairs_within(np.zeros(30, dtype=int))
    expected = [kendalltau(column, y).statistic for column in x.T]
    assert tau_b(pairs, x, y, ones(30))[0] == pytest.approx(expected)
    assert linearized(pairs, x, y).values == pytest.approx(expected)


def test_tau_under_weights_is_tau_of_the_sample_with_copies_but_for_pairs_of_copies():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(8, 1)), rng.normal(size=8)
    weights = np.array([[2, 0, 1, 1, 0, 3, 1, 0]], dtype=np.float32)
    rows = np.repeat(np.arange(8), weights[0].astype(int))
    # Copies of one configuration are tied in both; without their own pairs the rest has no ties: tau is score/pairs.
    score = kept = 0
    for a in range(len(rows)):
        for b in range(a):
            if rows[a] != rows[b]:
                score += np.sign(x[rows[a], 0] - x[rows[b], 0]) * np.sign(y[rows[a]] - y[rows[b]])
                kept += 1
    assert tau_b(pairs_within(np.zeros(8, dtype=int)), x, y, weights)[0, 0] == pytest.approx(score / kept)


def test_infinity_has_the_worst_rank_and_what_is_undefined_makes_no_pair():
    x = np.array([[1.0], [np.inf], [2.0], [np.nan], [np.inf]])
    y = np.array([1.0, 3.0, 2.0, -9.0, 4.0])
    expected = kendalltau([1, 9, 2, 9], [1, 3, 2, 4]).statistic
    pairs = pairs_within(np.zeros(5, dtype=int))
    assert tau_b(pairs, x, y, ones(5))[0, 0] == pytest.approx(expected)
    assert linearized(pairs, x, y).values[0] == pytest.approx(expected)


def test_the_terms_of_tau_are_its_derivative_in_the_weights():
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 4, size=(12, 1)).astype(float), rng.integers(0, 4, size=12).astype(float)
    pairs = pairs_within(np.zeros(12, dtype=int))
    terms = linearized(pairs, x, y).terms[:, 0]
    nudged = np.ones((2, 12))
    nudged[:, 3] += 1e-3, -1e-3
    up, down = tau_b(pairs, x, y, nudged)[:, 0]
    touches = (pairs.first == 3) | (pairs.second == 3)
    assert (up - down) / 2e-3 == pytest.approx(terms[touches].sum(), rel=1e-3)


def test_variance_of_tau_of_independent_values_is_the_textbooks():
    # Under independence var(tau) = 2 (2n + 5)/(9 n (n - 1)).
    rng = np.random.default_rng(7)
    pairs = pairs_within(np.zeros(40, dtype=int))
    found = []
    for _ in range(150):
        part = linearized(pairs, rng.normal(size=(40, 1)), rng.normal(size=40))
        found.append(variance([part], np.ones((1, 1)), 40, np.array([40]))[0])
    assert np.mean(found) == pytest.approx(2 * 85 / (9 * 40 * 39), rel=0.1)


def test_psi_by_hand():
    # Two sizes x three widths, gap and measure:
    #   n=100: gap 1 2 3, measure 1 2 3  -> along the width 3 of 3 pairs agree
    #   n=200: gap 4 5 6, measure 6 4 5  -> 4,5,6 against 6,4,5: pairs -, -, +
    # width axis: (3 + 1 - 2)/6 = 1/3. size axis: pairs (1,6), (2,4), (3,5) all rise with the gap: 1. Psi = 2/3.
    frame, design = grid((8, 16, 32), (100, 200))
    gap, measure = np.arange(1.0, 7), np.array([1.0, 2, 3, 6, 4, 5])
    evaluated = PairStatistics.of(Grid.of(frame, design)).evaluate(measure[:, None], gap)
    assert evaluated["axis model.width"].values[0] == pytest.approx(1 / 3)
    assert evaluated["axis dataset.train_size"].values[0] == pytest.approx(1)
    assert evaluated["psi"].values[0] == pytest.approx(2 / 3)
    # Within groups of equal n the width is all that moves.
    assert evaluated["tau_within"].values[0] == pytest.approx(1 / 3)


def test_an_axis_along_which_the_measure_is_constant_takes_no_part_in_psi():
    frame, design = grid((8, 16, 32), (100, 200))
    measure = frame[WIDTH].to_numpy(dtype=float)
    evaluated = PairStatistics.of(Grid.of(frame, design)).evaluate(measure[:, None], np.arange(6.0))
    assert math.isnan(evaluated["axis dataset.train_size"].values[0])
    assert evaluated["psi"].values[0] == pytest.approx(1)


def test_information_by_hand():
    # One axis, one seed, so S is {} or {width}. Four networks; measure and gap:
    #   A w8  mu 1 g 1;  B w8  mu 2 g 2;  C w16 mu 3 g 4;  D w16 mu 4 g 3
    # S = {}: ordered pairs of networks, 12: AB AC AD BC BD agree, CD disagrees: (+,+) 5, (-,-) 5, (+,-) 1, (-,+) 1.
    #   I = ln 2 - H(5/6, 1/6), H(g) = ln 2, ratio 1 - H(1/6)/ln 2 = 0.35.
    # S = {width}: cell (8, 8) is AB and BA: I = H = ln 2 over 2 pairs; (16, 16) is CD, DC: the same, 2 pairs;
    #   (8, 16) four pairs, all (-,-), and (16, 8): H = 0. Ratio 1. The minimum is that of S = {}.
    frame = pd.DataFrame({WIDTH: [8, 8, 16, 16], "seed": [0, 1, 0, 1], "gap": [1.0, 2, 4, 3]})
    design = find_design(frame, [WIDTH, "seed"])
    ((jiang, pgdl),) = informations(conditioned(frame, design), np.array([[1.0], [2], [3], [4]]), 0, 0)
    share = -(1 / 6 * math.log2(1 / 6) + 5 / 6 * math.log2(5 / 6))
    assert jiang.value == pytest.approx(1 - share)
    assert jiang.given == ()
    assert (pgdl.value, pgdl.note) == (None, "needs two axes")


def test_information_conditions_on_both_networks_values():
    # Gap and measure rise with the width alone and fall with nothing else: given the width, the gap's sign between
    # different widths is certain (H = 0) and within a width it is the noise's. The measure equal to the width knows
    # nothing of that noise, so I(.|width) = 0 and the minimum is 0.
    rng = np.random.default_rng(9)
    frame, design = grid((8, 16, 32), (100, 200), seeds=3)
    frame["gap"] = frame[WIDTH] + 0.1 * rng.normal(size=len(frame))
    ((jiang, _),) = informations(
        conditioned(frame, design),
        frame[[WIDTH]].to_numpy(dtype=float),
        0,
        0,
    )
    assert jiang.value == pytest.approx(0, abs=1e-12)
    assert WIDTH in jiang.given


def test_the_pgdl_form_takes_two_axes_weighs_every_cell_alike_and_counts_in_percent():
    # Two axes, one configuration a cell of U_S, two seeds. Within configuration pair (i, j): gaps far apart, so H = 0
    # but for a configuration with itself, whose two seeds are one pair in both orders: H = ln 2. The measure ranks the
    # seeds like the gap in 3 of the 4 configurations, and against it in the fourth: both are I = ln 2. Ratio 1: 100.
    frame, design = grid((8, 16), (100, 200), seeds=2)
    frame["gap"] = [0.0, 1, 10, 11, 20, 21, 30, 31]
    measure = np.array([0.0, 1, 10, 11, 20, 21, 31, 30])[:, None]
    ((_, pgdl),) = informations(conditioned(frame, design), measure, 0, 0)
    assert pgdl.value == pytest.approx(100)
    # A measure that ties the seeds of two of the four knows half: I = 0 in two cells of four alike cells.
    measure = np.array([0.0, 0, 10, 10, 20, 21, 31, 30])[:, None]
    ((_, pgdl),) = informations(conditioned(frame, design), measure, 0, 0)
    assert pgdl.value == pytest.approx(50)


def test_a_measure_equal_to_the_gap_has_all_its_information_and_beats_its_null():
    rng = np.random.default_rng(10)
    frame, design = grid((8, 16, 32), (100, 200, 400), seeds=3)
    frame["gap"] = rng.normal(size=len(frame))
    found = informations(conditioned(frame, design), frame[["gap"]].to_numpy(), 99, 0)[0]
    assert [item.value for item in found] == pytest.approx([1, 100])
    assert [item.verdict for item in found] == ["above its null"] * 2
    assert found[0].p == pytest.approx(0.01)


def test_weight_of_a_pair_by_hand():
    # t = 10,000: |dg| = 0.02 gives 2 exp(-2 * 10000 * 0.0001) = 0.2707, w = 0.7293^2 = 0.5319, less 0.5: 0.0319.
    # |dg| = 0.019 gives 0.3290, 0.4503: 0. With t = 517, |dg| = 0.08: 2 exp(-1.6544) = 0.3824, 0.3814: 0.
    assert certainty(np.array([0.02, -0.02, 0.019]), 10_000) == pytest.approx([0.0319, 0.0319, 0], abs=2e-4)
    assert certainty(np.array([0.08, 0.3]), 517)[0] == 0
    assert certainty(np.array([0.3]), 517)[0] == pytest.approx(0.5, abs=1e-4)


def test_weight_on_the_shared_test_set_by_hand():
    # 30 against 10: z = 19/sqrt(40) = 3.004, p = 0.00266, (1 - p)^2 - 0.5 = 0.4947. 12 against 10: z = 0.213.
    assert mcnemar_certainty(np.array([30.0, 12.0, 0.0]), np.array([10.0, 10.0, 0.0])) == pytest.approx(
        [0.4947, 0, 0], abs=2e-4
    )


def errors(frame, design, measure, gap, t=10_000):
    found = environments(Grid.of(frame, design))
    first, second, _ = seed_pairs(found)
    weight = certainty(gap[first] - gap[second], t)
    return sign_errors(found, design, measure[:, None], np.sign(gap[first] - gap[second]), weight)[0]


def test_sign_error_by_hand():
    # Widths 8, 16, 32, four seeds, gaps 0.1, 0.3, 0.5 for every seed: all weights are equal, 16 pairs an environment.
    # The measure agrees for (8, 16); for (8, 32) and (16, 32) it agrees except for one seed of width 32, which lies
    # below everything: 4 of 16 pairs are wrong, error 0.25 each. Mean (0 + 0.25 + 0.25)/3, maximum 0.25.
    frame, design = grid((8, 16, 32), (100,), seeds=4)
    gap = np.repeat([0.1, 0.3, 0.5], 4)
    measure = np.array([1.0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 0])
    found = errors(frame, design, measure, gap)
    assert found.mean == pytest.approx(1 / 6)
    assert found.maximum == pytest.approx(0.25)
    assert (found.surviving, found.environments) == ({WIDTH: 3}, {WIDTH: 3})
    assert errors(frame, design, -gap, gap).mean == 1
    assert errors(frame, design, np.ones(12), gap).mean == pytest.approx(0.5)  # a tie is half an error


def test_three_seeds_or_close_gaps_certify_nothing():
    frame, design = grid((8, 16), (100,), seeds=3)
    gap = np.repeat([0.1, 0.3], 3)
    found = errors(frame, design, gap, gap)
    assert (found.mean, found.note) == (None, "no environment certifies the sign of a gap")
    frame, design = grid((8, 16), (100,), seeds=4)
    gap = np.repeat([0.1, 0.105], 4)
    assert errors(frame, design, gap, gap).surviving == {WIDTH: 0}


def test_a_configuration_that_lacks_seeds_makes_no_environment():
    frame, design = grid((8, 16, 32), (100,), seeds=4)
    frame = frame.iloc[:-2]
    gap = np.repeat([0.1, 0.3, 0.5], 4)[:-2]
    assert errors(frame, design, gap, gap).environments == {WIDTH: 1}


def test_paired_test_sets_certify_what_independent_ones_cannot():
    # 1,000 test samples; the wide networks get 30 more right than the narrow ones and lose 4: the test errors differ by
    # 0.026, far too little for Hoeffding at t = 1000, and plain on the samples that differ.
    narrow, wide = np.ones(1000, dtype=bool), np.ones(1000, dtype=bool)
    narrow[:100] = False
    wide[30:100] = wide[900:904] = False
    frame, design = grid((8, 16), (100,), seeds=4)
    texts = [base64.b64encode(np.packbits(bits)).decode() for bits in (narrow, wide) for _ in range(4)]
    frame["test_correct"] = texts
    found = environments(Grid.of(frame, design))
    sign, weight = paired_on_test_set(frame, found, design)
    assert (sign == 1).all()  # the narrow one has the larger test error
    measure = np.repeat([2.0, 1.0], 4)[:, None]
    result = sign_errors(found, design, measure, sign, weight)[0]
    assert (result.mean, result.surviving) == (0, {WIDTH: 1})
    assert errors(frame, design, measure[:, 0], np.repeat([0.1, 0.074], 4), t=1000).mean is None
    assert "not recorded" in paired_on_test_set(frame.drop(columns="test_correct"), found, design)
    broken = frame.assign(test_correct=["no base64!", *texts[1:]])
    assert (paired_on_test_set(broken, found, design)[1][0] > 0).sum() == 12


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.04: times 3, 2, 1 = 0.03, 0.04, 0.04.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_differences_are_as_wide_as_their_largest_deviation():
    rng = np.random.default_rng(11)
    replicates = 0.3 + 0.1 * rng.normal(size=(4000, 5))
    replicates[:, 4] = 0.0
    values, se = np.array([0.3, 0.3, 0.3, 0.3, 0.0]), np.array([0.1, 0.1, 0.1, 0.1, 0.0])
    found = differences_from_leader("best", values, se, replicates, np.array([True, True, True, False, True]))
    # Of three independent normal deviations the largest exceeds 2.39 in 5%.
    assert found[0].high - 0.3 == pytest.approx(0.239, rel=0.03)
    assert found[0].verdict == "worse than the leader"
    assert found[3] is None
    assert (found[4].low, found[4].high, found[4].verdict) == (0, 0, "no difference shown")


def test_resamples_hold_as_many_configurations_as_there_are():
    weights = multinomial_weights(7, 20, 0)
    assert weights.shape == (21, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights[0] == 1).all()
    assert (weights == multinomial_weights(7, 20, 0)).all()


@pytest.mark.parametrize("world", ["plain", "trend"])
def test_intervals_cover_the_truth(world):
    # 150 repeats: a method that covers 95% falls below 88% once in a thousand draws. All 500: coverage.py.
    found = coverage(20, world, 150)
    assert set(found) == {"tau", "tau_within", "psi", "partial", "slope within", "slope controlled"}
    shares = {name: dict(zip(CORRELATIONS, share, strict=True)) for name, share in found.items()}
    assert min(min(share.values()) for share in shares.values()) >= 0.88, shares
    assert np.mean([list(share.values()) for share in shares.values()]) <= 0.98, shares


def test_rank_correlations_of_nine_configurations_cover_the_truth():
    # In 150 repeats a method that covers 90% falls below 83% once in a hundred draws.
    for world in ("plain", "trend"):
        found = coverage(9, world, 150)
        assert min(min(found[name]) for name in ("tau", "tau_within", "psi", "partial")) >= 0.83, found


def test_a_useless_measure_is_rarely_called_useful():
    assert max(false_alarms(20, 80).values()) <= 0.125


def test_missing_networks_do_not_make_a_useless_measure_useful():
    # Exchanging configurations of unequal size called it useful in 31% of repeats.
    assert max(false_alarms(20, 80, missing=0.25).values()) <= 0.125


def test_the_null_needs_two_configurations_alike_and_counts_ties_against_the_measure():
    frame, design = grid((8, 16, 32), (100,), seeds=3)
    frame["gap"] = np.random.default_rng(11).normal(size=len(frame))
    measure = frame[["gap"]].to_numpy()
    kept = [0, 3, 4, 6, 7, 8]  # one, two and three networks
    shared = condition(
        Grid.of(frame.iloc[kept].reset_index(drop=True), design),
        frame.iloc[kept].reset_index(drop=True)["gap"].to_numpy(dtype=float),
    )
    assert shared.sizes.tolist() == [1, 2, 3]
    ((jiang, _),) = informations(shared, measure[kept], 19, 0)
    assert (jiang.p, jiang.verdict) == (None, "undecided")
    assert jiang.note.startswith("no null")
    # A constant measure has no information, nor has any permutation of it: all tie.
    constant = np.ones((len(frame), 1))
    ((jiang, _),) = informations(conditioned(frame, design), constant, 19, 0)
    assert (jiang.value, jiang.p) == (0, 1)
    # Where a configuration lacks the measure it only changes places with others that lack it.
    holes = measure.copy()
    holes[[0, 3, 4]] = np.nan
    ((jiang, _),) = informations(conditioned(frame, design), holes, 19, 0)
    assert jiang.p is None
