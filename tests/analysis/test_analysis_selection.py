"""One target for all networks of an analysis, and what each network says of its own stopping rule."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pytest
from worlds import Planted, Store, metrics

from initdist import names
from multirun_analysis import AnalysisError, load_runs
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.runs.exclusions import counts, default_target, exclude, left_out, require_some
from multirun_analysis.runs.read import Networks, Source, read_networks
from multirun_analysis.runs.targets import why_default
from multirun_analysis.session import analyze


def labels(level: float, width: int = 64, seed: int = 0) -> Planted:
    """A network under label noise; level 0: on clean labels."""
    params = {"model.width": width, "noise.level": level}
    found = metrics(4 + level + 0.1 * seed - 0.001 * width, 0.1 + 0.01 * seed, width=width, noise=level)
    return Planted(params, found, seed, sweep="abc123")


def pixels(name: str = "gaussian", level: float = 0.5, width: int = 64, seed: int = 0) -> Planted:
    """A network under input noise, which has no gap under label noise."""
    found = metrics(6 + 0.1 * seed, 0.3, width=width)
    del found[names.GAP_NOISY]
    return Planted({"model.width": width, "noise.name": name, "noise.level": level}, found, seed, sweep="abc123")


MAIN = [labels(*cell) for cell in itertools.product((0.0, 0.25, 0.5), (16, 64, 256), range(2))]
SEVERAL = [pixels(name, level, seed=s) for name in ("gaussian", "random_pixels") for level in (0, 0.5) for s in (0, 1)]
ADVICE = (
    "generalization_gap_noisy exists for noise=labels only: target=generalization_gap uses every network, "
    "where.noise.name=gaussian uses those left out alone"
)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store; each of its experiments is a world."""
    folder = tmp_path_factory.mktemp("worlds")
    store = Store(folder, "main")
    store.add(MAIN)

    def another(name: str, runs: list[Planted]) -> None:
        own = Store.__new__(Store)
        own.uri, own.client = store.uri, store.client
        own.experiment_id = store.client.create_experiment(name, artifact_location=(folder / name).as_uri())
        own.add(runs)

    another("one gaussian", [*MAIN, pixels()])
    another("inputs", [*SEVERAL, *(labels(0.0, width) for width in (16, 64)), labels(0.5)])
    another("clean and inputs", [labels(0.0), *SEVERAL])
    another("only inputs", SEVERAL)
    another("unusable", [*MAIN[-2:], *(replace(pixels(seed=s), stop_reason="diverged") for s in range(5))])
    another("unconverged", [replace(one, stop_reason="max_epochs") for one in MAIN[:4]])
    return store


def gaps(frame: pd.DataFrame, target: str) -> dict[str, float]:
    """What each network's target is."""
    return frame.set_index("identity")[target].to_dict()


def test_one_run_under_input_noise_changes_nothing_for_the_others_and_is_counted(worlds):
    expected = load_runs(worlds.uri, "main")
    assert default_target(read_networks(worlds.uri, "main")) == names.GAP_NOISY
    networks = read_networks(worlds.uri, "one gaussian")
    assert default_target(networks) == names.GAP_NOISY
    found = load_runs(worlds.uri, "one gaussian")
    assert len(found) == len(MAIN) == 18
    assert gaps(found, names.GAP_NOISY) == gaps(expected, names.GAP_NOISY)
    every = load_runs(worlds.uri, "one gaussian", excluded=True)
    (stray,) = every[every["excluded"] != ""].itertuples()
    assert (stray.excluded, stray.excluded_detail) == ("with another target", "noise=gaussian")


def test_what_is_told_to_do_for_another_target_works(worlds):
    networks = read_networks(worlds.uri, "one gaussian")
    chosen = exclude(networks, default_target(networks), asked=False)
    assert left_out(chosen, names.GAP_NOISY) == f"1 with another target. {ADVICE}"
    assert len(load_runs(worlds.uri, "one gaussian", target=names.GAP)) == 19
    alone = load_runs(worlds.uri, "one gaussian", where={"noise.name": "gaussian"})
    assert alone["noise.name"].tolist() == ["gaussian"]


def test_the_terminal_and_the_report_count_the_run_and_the_statistics_are_those_without_it(worlds, tmp_path):
    found = {}
    for experiment in ("main", "one gaussian"):
        outcome = analyze(AnalysisConfig(Tracking(worlds.uri, experiment), out=str(tmp_path / experiment)), tmp_path)
        found[experiment] = json.loads((tmp_path / experiment / "statistics.json").read_text())["experiments"][0]
    assert f"Left out: 1 with another target. {ADVICE}" in outcome.lines
    told = "\n".join(outcome.lines)
    assert "18 of 19 runs used" in told
    assert found["one gaussian"]["left_out"] == {"with another target": 1}
    assert found["one gaussian"]["answer"] == found["main"]["answer"]
    assert "generalization gap under noise" in found["main"]["answer"]
    assert found["one gaussian"]["results"]["associations"] == found["main"]["results"]["associations"]
    assert "The target is the generalization gap under noise, because labels are noisy here" in " ".join(
        found["one gaussian"]["remarks"]
    )
    assert "| with another target | the analysis has one target," in (tmp_path / "one gaussian/report.md").read_text()


def test_where_most_are_under_input_noise_one_run_on_noisy_labels_is_the_one_left_out(worlds):
    networks = read_networks(worlds.uri, "inputs")
    assert default_target(networks) == names.GAP
    used = load_runs(worlds.uri, "inputs")
    assert len(used) == len(SEVERAL) + 2  # those on clean labels, whose two gaps are one number, stay
    every = load_runs(worlds.uri, "inputs", excluded=True)
    (stray,) = every[every["excluded"] != ""].itertuples()
    assert (stray.excluded, stray.excluded_detail) == ("with another target", "noise=labels")
    assert "target=generalization_gap_noisy uses the networks trained on them" in left_out(
        exclude(networks, names.GAP, asked=False), names.GAP
    )
    assert why_default(networks) == (
        "8 networks were trained under noise for which there is no generalization_gap_noisy, and only 1 on noisy labels"
    )
    assert len(load_runs(worlds.uri, "inputs", target=names.GAP_NOISY)) == 3
    assert len(load_runs(worlds.uri, "inputs", target=names.GAP)) == len(SEVERAL) + 3


@pytest.mark.parametrize("experiment", ["clean and inputs", "only inputs"])
def test_without_noisy_labels_the_target_is_the_gap_of_every_network(worlds, experiment):
    networks = read_networks(worlds.uri, experiment)
    assert default_target(networks) == names.GAP
    assert why_default(networks) == "no network was trained on noisy labels"
    assert counts(exclude(networks, names.GAP, asked=False)) == {}


def test_runs_that_cannot_be_used_do_not_choose_the_target(worlds):
    networks = read_networks(worlds.uri, "unusable")
    assert default_target(networks) == names.GAP_NOISY
    assert counts(exclude(networks, names.GAP_NOISY, asked=False)) == {"diverged": 5}


def test_asked_for_a_gap_that_none_has_says_what_to_do(worlds):
    networks = exclude(read_networks(worlds.uri, "only inputs"), names.GAP_NOISY)
    with pytest.raises(AnalysisError) as error:
        require_some(networks, names.GAP_NOISY)
    assert str(error.value) == (
        "none of the 8 runs can be used: 8 with another target. "
        + ADVICE.replace("name=gaussian", "name=gaussian,random_pixels")
    )


@pytest.mark.parametrize("experiments", [["main", "unconverged"], ["unconverged", "main"]])
def test_of_several_experiments_the_one_without_a_usable_run_is_named(worlds, experiments, tmp_path):
    with pytest.raises(AnalysisError) as error:
        analyze(AnalysisConfig(Tracking(worlds.uri, experiments), out=str(tmp_path / "out")), tmp_path)
    assert str(error.value) == (
        "tracking.experiment=unconverged: none of the 4 runs can be used: 4 not converged. Those not converged came to "
        "stop.max_epochs before their stopping rule: train longer, or at a higher lr"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"where": {"noise": {"name": "gaussian"}}}, "tracking.experiment=main: where.noise.name=gaussian matches no"),
        ({"measures": ["ntk_change"]}, "tracking.experiment=main: measures: ntk_change is none of the measures of"),
        ({"group": ["model.depth"]}, "tracking.experiment=main: group: model.depth is none of the config keys"),
    ],
)
def test_of_several_experiments_the_one_that_lacks_what_was_asked_for_is_named(worlds, settings, message, tmp_path):
    tracking = Tracking(worlds.uri, ["main", "one gaussian"])
    with pytest.raises(AnalysisError, match=f"^{message}"):
        analyze(AnalysisConfig(tracking, out=str(tmp_path / "out"), **settings), tmp_path)


def frame_of(noisy: int, clean: int, inputs: int) -> Networks:
    """So many networks on noisy labels, on clean ones and under input noise."""
    kinds = [("labels", 0.5, 0.2)] * noisy + [("labels", 0.0, 0.1)] * clean + [("gaussian", 0.5, float("nan"))] * inputs
    rows = [
        {
            "run_id": str(i),
            "identity": str(i),
            "status": "FINISHED",
            "start_time": 0,
            "end_time": 0,
            "invalid": "",
            "stop_reason": "threshold",
            "noise.name": name,
            "noise.level": level,
            names.GAP: 0.1,
            names.GAP_NOISY: gap,
            names.DISTANCE: 1.0,
        }
        for i, (name, level, gap) in enumerate(kinds)
    ]
    return Networks(pd.DataFrame(rows), ("noise.name", "noise.level"), (), Source("", ""))


@pytest.mark.parametrize(("noisy", "clean", "inputs"), list(itertools.product((0, 1, 2, 5), (0, 1, 9), (0, 1, 2, 5))))
def test_no_minority_leaves_out_more_networks_than_it_has(noisy, clean, inputs):
    networks = frame_of(noisy, clean, inputs)
    if not len(networks.frame):
        return
    target = default_target(networks)
    chosen = exclude(networks, target, asked=False)
    assert len(chosen.used) == noisy + clean + inputs - min(noisy, inputs)
    assert default_target(chosen) == target  # the same, asked again after the exclusions
    if noisy >= max(inputs, 1):
        assert target == names.GAP_NOISY


# What a network says of its own stopping rule


@dataclass(frozen=True)
class Told(Planted):
    """A run with the tag `initdist.converged`; None: a run from before there was one."""

    converged: str | None = None

    def tags(self) -> dict[str, str]:
        return super().tags() | ({names.CONVERGED: self.converged} if self.converged else {})


FIXED: dict[str, Any] = {"stop.train_loss": 0.0}
STOPS = {
    "met": (Told({}, stop_reason="threshold", converged="true"), True),
    "met a rule of one's own": (Told(FIXED, stop_reason="plateau", converged="true"), True),
    "missed": (Told({}, stop_reason="max_epochs", converged="false"), False),
    # The only rule asked for is one that the analysis has never heard of.
    "missed a rule of one's own": (Told(FIXED, stop_reason="max_epochs", converged="false"), False),
    "fixed": (Told(FIXED, stop_reason="max_epochs", converged="fixed"), True),
    # `stop.train_loss` was given a meaning under which it asks for nothing here.
    "fixed, though a threshold is there": (Told({}, stop_reason="max_epochs", converged="fixed"), True),
    "old, met": (Told({}, stop_reason="threshold"), True),
    "old, missed": (Told({}, stop_reason="max_epochs"), False),
    "old, fixed": (Told(FIXED, stop_reason="max_epochs"), True),
    "old, missed its margin": (Told(FIXED | {"stop.fraction": 0.9}, stop_reason="max_epochs"), False),
    "not a word of ours": (Told({}, stop_reason="max_epochs", converged="perhaps"), False),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name of a run -> why it is left out. Each is a configuration of its own, so that none makes another's sparse."""
    store = Store(tmp_path_factory.mktemp("stopped"))
    runs = [
        replace(one, params=one.params | {"model.width": 8 * i + 8}, metrics=metrics(4, 0.1))
        for i, (one, _) in enumerate(STOPS.values())
    ]
    run_ids = store.add(runs)
    frame = load_runs(store.uri, excluded=True).set_index("run_id")
    return dict(zip(STOPS, frame.loc[run_ids, "excluded"], strict=True))


@pytest.mark.parametrize("name", STOPS)
def test_a_network_counts_as_it_says_itself_and_an_old_one_by_the_rules_of_its_time(stopped, name):
    assert stopped[name] == ("" if STOPS[name][1] else "not converged")


def test_a_diverged_network_is_counted_as_that(tmp_path):
    store = Store(tmp_path)
    store.add([Told({}, metrics(4, 0.1), 0, stop_reason="diverged", converged="false"), Told({}, metrics(4, 0.1), 1)])
    assert load_runs(store.uri, excluded=True)["excluded"].tolist() == ["diverged", "in a cell with too few converged"]
