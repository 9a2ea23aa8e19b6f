"""O1, the claims on linearized twins, in planted stores in which they hold, fail, or cannot be decided."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from visible import faults
from worlds import Planted, Store, planted_twins

from initdist import names
from multirun_analysis import claims, figures, load_runs
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.figures import theme
from multirun_analysis.report.blocks import text_of
from multirun_analysis.report.claim_tables import compared
from multirun_analysis.runs.exclusions import exclude, with_unconverged
from multirun_analysis.runs.params import params_of
from multirun_analysis.runs.read import Source, networks_of, read_records
from multirun_analysis.session import analyze
from multirun_analysis.stats.claims.results import ClaimResult
from multirun_analysis.stats.claims.twin_claims import TWIN_CLAIMS
from multirun_analysis.stats.design import find_design

WIDTH, SIZE, NOISE, TWIN = "model.width", "dataset.train_size", "noise.level", "model.linearize"
AXES = [WIDTH, TWIN, names.SEED]
ONE_CELL = {"sizes": (160,), "noises": (0.0,)}


def slow(runs: Sequence[Planted], *, width: int) -> list[Planted]:
    """The twins of a width have met no stopping rule."""
    return [
        replace(run, stop_reason="max_epochs") if run.params[WIDTH] == width and run.params[TWIN] else run
        for run in runs
    ]


def older(runs: Sequence[Planted]) -> list[Planted]:
    """Some networks were trained before `model.linearize` was there."""
    return [
        replace(run, params={**run.params, TWIN: "ABSENT"}) if run.seed == 0 and not run.params[TWIN] else run
        for run in runs
    ]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three experiments in one store: the claims hold, fail, and cannot be decided. Of the first a whole report."""
    folder = tmp_path_factory.mktemp("twins")
    worlds = {
        "hold": planted_twins(),
        "fail": planted_twins(ratio=1.3, exponent=0.3, **ONE_CELL),
        "open": older(slow(planted_twins(widths=(16, 64, 256), **ONE_CELL), width=256)),
    }
    store = Store(folder, "nothing")
    for name, runs in worlds.items():
        store.experiment_id = store.client.create_experiment(name, artifact_location=(folder / name).as_uri())
        store.add(runs)
    outcome = analyze(AnalysisConfig(Tracking(store.uri, "hold"), out=str(folder / "report")), folder)
    return SimpleNamespace(uri=store.uri, report=folder / "report", outcome=outcome)


def results(stores: SimpleNamespace, name: str) -> dict[str, ClaimResult]:
    """As the analysis tests the claims."""
    networks = exclude(networks_of(read_records(stores.uri, name), Source(stores.uri, name)), names.GAP_NOISY)
    found = claims(networks.used, params=networks.params, ended=with_unconverged(networks))
    return {one.claim.id: one for one in found}


def test_claims_that_hold_are_supported(stores):
    found = {one.claim.id: one for one in stores.outcome.report.parts[0].results.claims}
    assert {name: found[name].verdict for name in ("O1a", "O1b", "C1b", "C3", "C4")} == dict.fromkeys(
        ("O1a", "O1b", "C1b", "C3", "C4"), "supported"
    )
    assert [part.claim.id for part in found["O1a"].parts] == ["O1a C1b", "O1a C3", "O1a C4"]
    assert [part.overall for part in found["O1a"].parts] == pytest.approx([-0.1, 0.4, 0.8], abs=0.03)
    assert (found["O1a"].tested, found["O1a"].whole) == (12, 12)
    assert found["O1b"].overall == pytest.approx(math.log(0.9), abs=0.01)
    assert found["O1a"].sentence.startswith(
        "O1a supported (12 of 12 cells tested): O1a C1b supported, O1a C3 supported and O1a C4 supported. "
    )


def test_claims_that_fail_are_contradicted(stores):
    found = results(stores, "fail")
    assert (found["O1a"].verdict, found["O1b"].verdict) == ("contradicted", "contradicted")
    assert [part.verdict for part in found["O1a"].parts] == ["contradicted", "undecided", "undecided"]
    assert found["O1b"].overall == pytest.approx(math.log(1.3), abs=0.02)


def test_what_is_censored_leaves_claims_undecided_and_is_named(stores):
    """All that is tested holds, but the twins of one width came to no end."""
    found = results(stores, "open")
    width = found["O1a"].parts[0]
    assert (width.verdict, width.counts["supported"]) == ("undecided", 1)
    assert width.censored == ({WIDTH: 256},)
    assert "Censored, because too few seeds met their stopping rule: width = 256." in width.sentence
    pairs = found["O1b"]
    assert (pairs.verdict, pairs.counts["supported"], pairs.counts["untested"]) == ("undecided", 2, 1)
    assert "Not tested: 1 cell (width = 256): no linearized twin." in pairs.sentence
    assert pairs.censored == ({TWIN: "true", WIDTH: 256},)
    assert found["C1b"].verdict == "supported"


def test_the_report_has_the_claims_their_parts_and_the_figure(stores):
    text = (stores.report / "report.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| O1")}
    assert list(rows)[:5] == ["O1a", "O1a C1b", "O1a C3", "O1a C4", "O1b"]
    assert "| supported |" in rows["O1a"]
    assert "figures/distance_over_twin.png" in text
    found = json.loads((stores.report / "statistics.json").read_text())["experiments"][0]
    assert next(one for one in found["results"]["claims"] if one["claim"]["id"] == "O1a")["parts"][0]["verdict"]
    assert "O1a, O1b" in next(line for line in stores.outcome.lines if line.startswith("Claims: "))


def test_experiments_with_and_without_twins_stand_side_by_side(stores):
    plain = {name: one for name, one in results(stores, "open").items() if not name.startswith("O")}
    found = {"fail": results(stores, "fail"), "plain": plain}
    table = compared({name: tuple(each.values()) for name, each in found.items()})
    rows = {str(row[0]): [text_of(cell) for cell in row[2:]] for row in table.rows}
    assert rows["O1b"] == ["contradicted", rows["O1b"][1], "–", "–"]
    assert (rows["O1a C1b"][0], rows["C1b"][2]) == ("contradicted", "supported")


def test_runs_that_are_older_than_a_key_are_networks_of_its_neutral_value(stores):
    """A store that was begun before `model.linearize` was there holds networks, not networks of another kind."""
    runs = load_runs(stores.uri, "open")
    assert runs[TWIN].value_counts().to_dict() == {"false": 9, "true": 6}


def test_the_figure_shows_each_pair(stores):
    runs = load_runs(stores.uri, "hold")
    with theme():
        drawing = figures.distance_over_twin(runs, find_design(runs, params_of(runs)))
        assert faults(drawing.figure) == []
    twins = runs[TWIN] == "true"
    keys = [SIZE, NOISE, WIDTH]
    expected = [runs[kind].groupby(keys)[names.DISTANCE].mean() for kind in (~twins, twins)]
    assert "closed form" in " ".join(text.get_text() for text in drawing.figure.legends[0].get_texts())
    shown = np.concatenate(
        [
            line.get_ydata()
            for axis in drawing.figure.axes
            for line in axis.lines
            if line.get_linestyle() == "-" and len(line.get_xdata()) == 2
        ]
    )
    assert 0.85 < shown[shown != 1].min() < shown[shown != 1].max() < 0.95
    assert (expected[0] / expected[1]).between(0.85, 0.95).all()
    alone = runs[~twins]
    assert figures.distance_over_twin(alone, find_design(alone, params_of(alone))).figure is None


# Frames


def frame(**planted) -> pd.DataFrame:
    rows = []
    for run in planted_twins(**planted):
        rows.append({**run.params, names.SEED: run.seed, **run.metrics, "stop_reason": "threshold"})
    found = pd.DataFrame(rows)
    found[TWIN] = found[TWIN].map({True: "true", False: "false"})
    return found


def of(found: pd.DataFrame) -> dict[str, ClaimResult]:
    return {one.claim.id: one for one in claims(found, catalogue={})}


def test_pairs_are_compared_within_a_seed():
    """A seed's own scatter, which both of a pair share, cancels: the test is the paired t test of log ratios."""
    found = frame(ratio=1.0, widths=(16,), sizes=(160,), noises=(0.0,), seeds=5, spread=0.02)
    found[names.DISTANCE] *= np.exp(found[names.SEED])
    distances = found.pivot(index=names.SEED, columns=TWIN, values=names.DISTANCE)
    own = np.log(distances["false"] / distances["true"])
    (cell,) = of(found)["O1b"].cells
    assert (cell.effect, cell.p_for) == pytest.approx((own.mean(), ttest_1samp(own, 0.05, alternative="less").pvalue))
    assert cell.cell == {}


def test_the_claims_of_networks_are_tested_on_networks_and_those_of_twins_on_twins():
    found = frame(exponent=-0.1)
    found.loc[found[TWIN] == "true", names.DISTANCE] *= (found[WIDTH] / 16) ** 0.5
    result = of(found)
    assert (result["C1b"].verdict, result["O1a"].parts[0].verdict) == ("supported", "contradicted")
    assert len(result["C1b"].cells) == len(result["O1a"].parts[0].cells) == 4


@pytest.mark.parametrize("kept", ["true", "false"])
def test_without_networks_or_without_twins_nothing_is_compared(kept):
    result = of(frame().query(f"`{TWIN}` == '{kept}'"))
    if kept == "false":
        assert not {"O1a", "O1b"} & result.keys()
        assert result["C1b"].verdict == "supported"
    else:
        assert result["O1b"].sentence == f"O1b undecided: {TWIN} does not vary."
        assert result["C1b"].sentence == "C1b undecided: there are no networks that are not linearized."
        assert result["O1a"].verdict == "supported"


def test_networks_and_twins_that_differ_in_something_else_are_no_pairs():
    found = frame()
    found["optimizer.lr"] = np.where(found[TWIN] == "true", 0.01, 0.1)
    assert of(found)["O1b"].note == f"optimizer.lr moves together with {TWIN}, so that no network has a twin"


def test_holm_is_over_the_cells_of_all_parts():
    found = frame(seeds=3, spread=0.03)
    parts = of(found)["O1a"].parts
    alone = of(found[found[TWIN] == "true"].assign(**{TWIN: "false"}))
    raw = [alone[name] for name in ("C1b", "C3", "C4")]
    smallest = min(cell.p_for for part in raw for cell in part.cells) / 4  # Holm's first factor was that of 4 cells
    assert min(cell.p_for for part in parts for cell in part.cells) == pytest.approx(12 * smallest)


REPEATS = 100
MOST = 0.05 + 4 * math.sqrt(0.05 * 0.95 / REPEATS)


def test_at_the_margin_each_wrong_verdict_on_pairs_is_rare():
    rng, verdicts = np.random.default_rng(3), []
    base = frame(ratio=math.exp(0.05), widths=(16, 64), sizes=(160,), noises=(0.0,), seeds=4, spread=0.0)
    for _ in range(REPEATS):
        own = base[names.DISTANCE] * np.exp(rng.normal(0, 0.05, size=len(base)))
        (found,) = claims(base.assign(**{names.DISTANCE: own}), stated=TWIN_CLAIMS[1:], catalogue={}, params=AXES)
        verdicts.append(found.verdict)
    assert verdicts.count("supported") <= MOST * REPEATS
    assert 0 < verdicts.count("contradicted") <= MOST * REPEATS
