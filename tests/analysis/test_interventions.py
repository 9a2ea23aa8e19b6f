"""O2 and O2' on planted arms: sufficiency that is true, false by design, and undecidable, is found as such."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from arm_worlds import frame_of, planted_arms
from scipy.stats import ttest_1samp
from worlds import Store

from initdist import names
from multirun_analysis import claims as public_claims
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.labels import OWN_GAP
from multirun_analysis.runs.arms import observed
from multirun_analysis.session import analyze
from multirun_analysis.stats.claims import interventions
from multirun_analysis.stats.claims.arm_cells import Cell, Group, cells_of, design_of
from multirun_analysis.stats.claims.arm_slopes import _combined, _jackknifed, difference, fieller, ratio
from multirun_analysis.stats.claims.intervention_claims import INTERVENTION_CLAIMS
from multirun_analysis.stats.claims.quantities import with_own_gap
from multirun_analysis.stats.claims.results import ClaimResult

O2, PRIME = INTERVENTION_CLAIMS


def found(runs) -> dict[str, ClaimResult]:
    return {result.claim.id: result for result in public_claims(frame_of(runs))}


# Worlds


def test_sufficiency_that_is_true_is_supported():
    results = found(planted_arms(1.0))
    for name, effect in (("O2", 1.0), ("O2'", 0.0)):
        result = results[name]
        assert result.verdict == "supported", result.sentence
        assert result.tested == len(result.cells) == 6
        assert all(cell.effect == pytest.approx(effect, abs=0.15) for cell in result.cells)
    assert all(0.5 < cell.interval.low < cell.effect < cell.interval.high < 1.5 for cell in results["O2"].cells)
    assert results["O2"].sentence.startswith("O2 supported (6 of 6 cells tested): supported in 6, contradicted in 0.")


@pytest.mark.parametrize("planted", [0.0, -1.0, 2.5])
def test_a_gap_that_does_not_follow_the_distance_as_observed_contradicts_it(planted):
    """The widths of the free networks differ in distance and gap alike: observation cannot tell."""
    result = found(planted_arms(planted))["O2"]
    assert result.verdict == "contradicted", result.sentence
    assert result.counts["contradicted"] == 6
    assert result.smallest == pytest.approx(planted, abs=0.15)


def test_another_gap_at_equal_distance_contradicts_that_the_way_does_not_matter():
    results = found(planted_arms(1.0, shift=0.02))
    assert results["O2"].verdict == "supported"  # init_decay is none of its arms
    assert results["O2'"].verdict == "contradicted"
    assert results["O2'"].overall == pytest.approx(2.0, abs=0.1)  # percentage points


UNDECIDABLE = {
    "noisy arms": {"sd": 0.05},
    "no slope to compare with": {"slope": 0.0005},
    "two seeds": {"seeds": 2},
    "one width": {"widths": (64,)},
    "all radii infeasible": {"infeasible": 9.0, "shells": ()},
    "no arm but decay": {"balls": (), "shells": ()},
}


@pytest.mark.parametrize("world", UNDECIDABLE)
def test_what_cannot_be_decided_is_undecided_with_a_reason(world):
    result = found(planted_arms(1.0, **UNDECIDABLE[world]))["O2"]
    assert result.verdict == "undecided", result.sentence
    if world not in ("noisy arms", "no slope to compare with"):
        assert result.tested == 0
        assert result.note in result.sentence
        assert all(cell.note for cell in result.cells)


def test_censored_radii_count_for_nothing_and_are_counted():
    """A ball that one seed of five keeps to: the one that does has a gap that would deceive."""
    runs = planted_arms(1.0, infeasible=0.8)
    frame = with_own_gap(frame_of(runs))
    params = [name for name in frame if "." in name or name == "seed"]
    result = interventions.interventions(frame, params)
    assert {(arm.arm, arm.strength, arm.reached, arm.seeds) for arm in result.censored} == {("init_ball", 0.7, 1, 5)}
    assert len(result.censored) == 6
    sentence = interventions.test(O2, frame, params).sentence
    assert "Censored: 6 arms, where under 80% of the seeds reach the threshold." in sentence
    used = cells_of(frame, design_of(frame, params), params)
    assert all(0.7 not in cell.strength for cell in used)


def test_a_cell_that_cannot_be_tested_is_named_and_keeps_the_claim_undecided():
    runs = [r for r in planted_arms(1.0) if not (r.params["model.width"] == 256 and "constraint.radius" in r.params)]
    result = found(runs)["O2"]
    assert (result.verdict, result.tested, result.counts["supported"]) == ("undecided", 4, 4)
    assert "Not tested: n" not in result.sentence
    assert "p = 0.5, width = 256: no arm at another distance than the free network" in result.sentence


def test_a_cell_without_arms_is_no_part_of_it():
    runs = [r for r in planted_arms(1.0) if r.params["model.width"] != 256 or r.params["constraint.name"] == "none"]
    result = found(runs)["O2"]
    assert (result.verdict, result.tested, len(result.cells)) == ("supported", 4, 4)


def test_the_papers_claims_are_about_networks_that_were_left_alone():
    runs = planted_arms(1.0)
    frame = frame_of(runs)
    alone = public_claims(observed(frame))
    together = [one for one in public_claims(frame) if one.claim not in INTERVENTION_CLAIMS]
    assert [one.sentence for one in together] == [one.sentence for one in alone]
    assert not any(one.claim in INTERVENTION_CLAIMS for one in alone)


# Estimates


def cell(rng: np.random.Generator, truth: float, seeds: int = 5, shift: float = 0.0) -> Cell:
    """One cell of three widths with ball, free and shell, as in planted_arms, with noise enough to matter."""
    slope, sd = 0.04, 0.004
    seed, width = (axis.ravel() for axis in np.indices((seeds, 3)))
    lift = 0.02 * rng.normal(size=seeds)
    x = 4 - width + 0.05 * rng.normal(size=len(seed))
    y = lift[seed] - slope * width + sd * rng.normal(size=len(seed))
    own = width == 1
    arms, times = np.array(["free", "init_ball", "init_ball", "init_shell", "init_decay"]), (1, 0.7, 0.85, 1.2, 0.9)
    xs = np.outer(times, x[own])
    ys = y[own] + truth * slope * (xs - x[own]) + sd * rng.normal(size=xs.shape) * (np.array(times) != 1)[:, None]
    ys[-1] += shift
    names_, numbers = np.repeat(arms, seeds), np.tile(seed[own], len(arms))
    group = Group(seed, width, x, y)
    return Cell({}, names_, np.repeat(times, seeds), numbers, xs.ravel(), ys.ravel(), group)


def test_slopes_and_the_ratio_are_those_of_least_squares():
    one = cell(np.random.default_rng(0), 0.8)
    result = ratio(one, O2)
    use = one.arm != "init_decay"
    columns = np.column_stack([one.x[use], *(one.seed[use] == k for k in range(5))]).astype(float)
    by_hand = np.linalg.lstsq(columns, one.y[use], rcond=None)[0][0]
    means = pd.DataFrame({"w": one.group.configuration, "x": one.group.x, "y": one.group.y}).groupby("w").mean()
    observed_slope = np.polyfit(means["x"], means["y"], 1)[0]
    assert result.effect == pytest.approx(by_hand / observed_slope)
    assert result.interval.low < result.effect < result.interval.high


def test_of_a_mean_the_jackknife_is_the_t_test():
    values = np.random.default_rng(1).normal(size=7)
    result = _jackknifed(lambda seeds: float(values[seeds].mean()), np.arange(7))
    test = ttest_1samp(values, 0.1, alternative="greater")
    assert result.p_above(0.1) == pytest.approx(test.pvalue)


def test_fiellers_interval_ends_where_the_paired_test_is_at_its_level():
    rng = np.random.default_rng(2)
    first, second = rng.normal(1.0, 0.1, 6), rng.normal(2.0, 0.2, 6)
    first += 0.3 * second
    one, other = (_jackknifed(lambda seeds, of=of: float(of[seeds].mean()), np.arange(6)) for of in (first, second))
    interval = fieller(one, other)
    for end in (interval.low, interval.high):
        assert ttest_1samp(first - end * second, 0).pvalue == pytest.approx(0.05)
        at_the_end = _combined(one, other, end)
        assert 2 * min(at_the_end.p_above(0), at_the_end.p_below(0)) == pytest.approx(0.05)
    assert fieller(one, _jackknifed(lambda seeds: float(rng.normal(0, 1)), np.arange(6))) is None


# At the margin: an effect that is just not within it


@pytest.mark.parametrize("truth", [0.5, 1.5])
def test_at_the_margin_sufficiency_is_rarely_supported(truth):
    rng, repeats = np.random.default_rng(3), 1000
    tests = [ratio(cell(rng, truth), O2) for _ in range(repeats)]
    assert np.mean([one.p_for <= 0.05 for one in tests]) <= 0.05
    assert np.mean([one.p_against <= 0.05 for one in tests]) <= 0.05
    held = [one.interval is not None and one.interval.low <= truth <= one.interval.high for one in tests]
    assert np.mean(held) >= 0.93  # of the intervals at 95%: noise in the distances is no part of the t test
    assert np.mean([ratio(cell(rng, 1.0), O2).p_for <= 0.05 for _ in range(100)]) > 0.5  # and where it is, it can be


@pytest.mark.parametrize("shift", [-0.005, 0.005])
def test_at_the_margin_equal_gaps_are_rarely_supported(shift):
    rng, repeats = np.random.default_rng(4), 1000
    tests = [difference(cell(rng, 1.0, shift=shift), PRIME) for _ in range(repeats)]
    assert np.mean([one.p_for <= 0.05 for one in tests]) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)


# Stores


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Sufficiency true, false by design and undecidable, an experiment each in one store."""
    folder = tmp_path_factory.mktemp("arms")
    few = {"noises": (0.5,), "seeds": 3, "balls": (0.7,), "shells": (1.3,), "sd": 1e-4, "own": 0.01}
    worlds = {
        "true": planted_arms(1.0, **few),
        "false": planted_arms(-1.0, **few, infeasible=0.8),
        "open": planted_arms(1.0, **(few | {"sd": 0.05})),
    }
    first, uri = None, ""
    for name, runs in worlds.items():
        if first is None:
            first = store = Store(folder, name)
            uri = store.uri
        else:
            store = Store.__new__(Store)
            store.uri, store.client = uri, first.client
            store.experiment_id = first.client.create_experiment(name, artifact_location=(folder / name).as_uri())
        store.add(runs)
    settings = AnalysisConfig(Tracking(uri, list(worlds)), measures=[names.DISTANCE], out="out")
    outcome = analyze(settings, folder)
    return SimpleNamespace(parts=dict(zip(worlds, outcome.report.parts, strict=True)), folder=folder / "out")


def test_a_store_says_what_was_planted_in_it(stored):
    claims = {name: {one.claim.id: one for one in part.results.claims} for name, part in stored.parts.items()}
    verdicts = {name: each["O2"].verdict for name, each in claims.items()}
    assert verdicts == {"true": "supported", "false": "contradicted", "open": "undecided"}
    for part in stored.parts.values():
        assert set(part.results.design.axes) == {"model.width"}  # a radius of each seed's own is no axis
        assert len(part.results.means) == 3


def test_the_last_rung_of_the_distance_is_judged_by_the_arms(stored):
    rungs = {name: part.results.league.standing(names.DISTANCE).rungs[-1] for name, part in stored.parts.items()}
    verdicts = {name: rung.verdict for name, rung in rungs.items()}
    assert verdicts == {"true": "supported", "false": "contradicted", "open": "undecided"}
    assert "shown to be positive in 3 of 3 cells" in rungs["true"].reason
    verdict = stored.parts["true"].results.league.verdicts[0]
    assert (verdict.measure, verdict.rungs[-1]) == (names.DISTANCE, rungs["true"])


def test_the_report_has_the_arms_the_figure_and_the_control(stored):
    text = (stored.folder / "report.md").read_text()
    assert "Interventions on the distance: true" in text
    assert "3 censored, because under 80% of the seeds reach the loss threshold there." in text
    assert "1 of 3 (censored)" in text
    assert "first layer times 2, the next one over 2" in text
    drawn = {d.name: d for d in stored.parts["false"].drawings}["gap_against_imposed_distance"]
    assert drawn.images is not None
    assert "Open points: censored arms" in drawn.caption
    statistics = json.loads((stored.folder / "statistics.json").read_text())
    arms = statistics["experiments"][0]["results"]["interventions"]["arms"]
    assert {arm["arm"] for arm in arms} == {"free", "init_ball", "init_shell", "init_decay"}
    assert OWN_GAP in {cell["quantity"] for cell in statistics["experiments"][0]["results"]["claims"][-1]["cells"]}
