"""Measures of networks that were trained earlier: real processes, a real store, real kills."""

import base64
import contextlib
import json
import math
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import initdist
from initdist import catalogue, names
from tests.command import TINY, by_identity, client, run, runs, train

GRID = ("-m", "model.width=6,8", "seed=range(0,2)", "noise.level=0,0.5", *TINY)
# Undefined for a model with biases or skip connections, with options, drawn at random: a bit of everything.
SOME = "core,margins,pacbayes_sigma,hessian_trace,neyshabur_2019"


def measure(folder: Path, *overrides: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(folder, "initdist.measure", "device=cpu", *overrides, check=check)


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "initdist.measure", "device=cpu", *overrides]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **quiet)


def values(one) -> dict[str, float]:
    return {key: value for key, value in one.data.metrics.items() if key.startswith(names.MEASURE)}


def has(one) -> dict[str, dict]:
    return json.loads(one.data.tags.get(names.MEASURES, "{}"))


def weights(one) -> Path:
    return Path(one.info.artifact_uri.removeprefix("file://")) / names.WEIGHTS_FILE


@pytest.fixture(scope="module")
def measured_in_training(tmp_path_factory) -> dict[str, object]:
    """Identity -> run of the grid, with these measures computed when each network ended."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, *GRID, f"measures.names=[{SOME}]")
    return by_identity(folder)


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory) -> Path:
    """A folder with the grid, trained without any measures."""
    folder = tmp_path_factory.mktemp("unmeasured")
    train(folder, *GRID, "measures.names=[]")
    assert not any(values(one) for one in runs(folder))
    return folder


@pytest.fixture
def trained(unmeasured, tmp_path) -> Path:
    """A copy of it, with the weights too."""
    shutil.copytree(unmeasured / "mlartifacts", tmp_path / "mlartifacts")
    source, copy = sqlite3.connect(unmeasured / "mlflow.db"), sqlite3.connect(tmp_path / "mlflow.db")
    with contextlib.closing(source), contextlib.closing(copy):
        source.backup(copy)
        copy.execute("update runs set artifact_uri = replace(artifact_uri, ?, ?)", (str(unmeasured), str(tmp_path)))
        copy.commit()
    return tmp_path


def test_measured_afterwards_as_at_the_end_of_training_to_the_bit(trained, measured_in_training):
    done = measure(trained, f"measures={SOME}")
    assert "8 networks: 8 lack measures (core, margins, " in done.stdout
    assert "8 networks: 8 measured, 0 had everything, 0 lack weights, 0 refused, 0 failed, in " in done.stdout
    found = by_identity(trained)
    assert found.keys() == measured_in_training.keys()
    for identity, expected in measured_in_training.items():
        assert values(found[identity]) == values(expected)
        assert has(found[identity]) == has(expected)
        assert found[identity].info.status == "FINISHED"
        assert "neyshabur_2019" in has(expected)  # of depth 1: undefined here, and known to be
        assert "measure/neyshabur_2019" not in values(expected)
        (point,) = client(trained).get_metric_history(found[identity].info.run_id, "measure/param_norm")
        assert point.step == expected.data.metrics[names.STEPS]
    again = measure(trained, f"measures={SOME}")
    assert "8 networks: 0 measured, 8 had everything" in again.stdout
    assert "lack measures" not in again.stdout


def test_only_what_is_missing_is_computed_and_options_count(trained):
    measure(trained, "measures=core", "where.model.width=6", "where.seed=0")
    assert sum(bool(values(one)) for one in runs(trained)) == 2
    before = {one.info.run_id: values(one) for one in runs(trained)}
    measure(trained, "measures=param_norm,pacbayes_sigma", "measures.draws=2", "where.model.width=6,8")
    for one in runs(trained):
        new = values(one).keys() - before[one.info.run_id].keys()
        assert {"measure/pacbayes_sigma"} <= new
        assert ("measure/param_norm" in new) == (before[one.info.run_id] == {})
        points = client(trained).get_metric_history(one.info.run_id, "measure/param_norm")
        assert len(points) == 1
        assert has(one)["pacbayes_sigma"]["draws"] == 2
        assert has(one)["param_norm"] == {}
    few = {one.info.run_id: values(one)["measure/pacbayes_sigma"] for one in runs(trained)}
    assert "8 measured" in measure(trained, "measures=pacbayes_sigma", "measures.draws=3").stdout
    many = {one.info.run_id: values(one)["measure/pacbayes_sigma"] for one in runs(trained)}
    assert any(few[run_id] != many[run_id] for run_id in few)  # the store shows the newer ones


def test_killed_at_any_time_and_started_again_it_ends_as_if_never_killed(trained, measured_in_training):
    """After one network's values, after three, after five: each time some are there, whole, and the rest are not."""
    complete = 0
    for wanted in (1, 3, 5):
        process = start(trained, f"measures={SOME}", "workers=1")
        while complete < wanted and process.poll() is None:
            complete = sum(bool(has(one)) for one in runs(trained))
        process.kill()
        process.communicate()
        for identity, one in by_identity(trained).items():
            if has(one):
                assert values(one) == values(measured_in_training[identity])
    last = measure(trained, f"measures={SOME}")
    assert "0 refused, 0 failed" in last.stdout
    assert {k: values(one) for k, one in by_identity(trained).items()} == {
        k: values(one) for k, one in measured_in_training.items()
    }


def test_two_at_once_do_no_harm(trained):
    """The one computes what the other computes, and more: all of it is there, and known to be."""
    first, second = start(trained, "measures=core,margins"), start(trained, "measures=core,norms")
    for process in (first, second):
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert "8 had everything" in measure(trained, "measures=core,margins,norms").stdout
    for one in runs(trained):
        assert {"measure/param_norm", "measure/inverse_margin", "measure/fro_over_spec"} <= values(one).keys()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_what_it_did(trained, number):
    process = start(trained, "measures=all", "workers=1")
    while not any(has(one) for one in runs(trained)):
        assert process.poll() is None
    process.send_signal(number)
    printed, _ = process.communicate()
    assert process.returncode == 128 + number
    assert "not measured, in " in printed
    assert "Traceback" not in printed


def test_what_cannot_be_measured_is_named_skipped_and_counted(trained):
    bare, corrupt, other, narrow, start_, moved, *rest = runs(trained)
    weights(bare).unlink()
    weights(corrupt).write_bytes(b"no tensors")
    cut = weights(other).read_bytes()[:-5]
    weights(other).write_bytes(cut)
    held = load_file(weights(narrow))
    save_file({name: tensor[:3].contiguous() for name, tensor in held.items()}, weights(narrow))
    client(trained).set_tag(start_.info.run_id, names.THETA0, "0" * 64)
    client(trained).set_tag(moved.info.run_id, names.IDENTITY, "1" * 64)
    done = measure(trained, "measures=param_norm")
    assert "8 networks: 2 measured, 0 had everything, 1 lack weights, 5 refused, 0 failed" in done.stdout
    for one, reason in (
        (bare, "lacks weights: it was trained with tracking.save_weights=false"),
        (corrupt, "is refused: weights.safetensors is corrupt"),
        (other, "is refused: weights.safetensors is corrupt"),
        (narrow, "is refused: its weights do not match its config: 1.weight must be ["),
        (start_, "is refused: the initial parameters drawn here, by numpy "),
        (moved, "is refused: its config or its data are not those of this version"),
    ):
        assert f"{one.info.run_name} (run {one.info.run_id}) {reason}" in done.stderr
    there = {one.info.run_id for one in runs(trained) if values(one)}
    assert there == {one.info.run_id for one in rest}
    shown = measure(trained, "measures=param_norm", "dry_run=true").stdout
    assert f"(run {bare.info.run_id})  lacks param_norm, and has no weights to compute them from" in shown
    assert "dry run: 8 networks: 5 lack measures (param_norm), 2 have everything" in shown


def test_training_says_what_finished_networks_lack_and_names_the_command(trained):
    again = train(trained, *GRID, "measures=margins", "measures.margin=p5")
    assert "8 networks that had finished lack measures (core, margins). To compute them:" in again.stdout
    line = again.stdout.splitlines()[-1].strip()
    assert line.startswith("python -m initdist.measure measures=core,margins sweep=")
    assert "measures.margin=p5" in line
    _, _, module, *overrides = shlex.split(line)
    assert "8 measured" in run(trained, module, *overrides).stdout
    assert "lack measures" not in train(trained, *GRID, "measures=margins", "measures.margin=p5").stdout
    assert "lack measures (" in train(trained, *GRID, "measures=margins").stdout  # of another margin


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["measures=cores"], "measures.names must be one of all, "),
        (["measures=cores"], "got 'cores'; did you mean core?"),
        (["sweep=none"], "sweep must be one of the experiment 'initdist', got 'none'"),
        (["where.model.width=7"], "no finished network of 'initdist' is meant by where.model.width=7"),
        (["where.model.widths=7"], "Could not override 'where.model.widths'"),
        (["device=gpu"], "device must be auto, cpu, cuda or cuda:<index>, got 'gpu'"),
        (["tracking.experiment=other"], "tracking.experiment must be one of the store"),
        (["tracking.uri=sqlite:///none.db"], "tracking.uri must be a store that is there, got sqlite:///none.db"),
        (["-m", "where.seed=0"], "--multirun has no meaning here"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_computed(swept, overrides, message):
    done = run(swept, "initdist.measure", *overrides, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (swept / "none.db").exists()


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    train(folder, "-m", "seed=0,1", "model.width=6", *TINY, "measures.names=[param_norm,bartlett]")
    return folder


def test_a_run_says_which_test_samples_are_right(swept):
    for one in runs(swept):
        size = int(one.data.tags[names.TEST_SIZE])
        bits = np.frombuffer(base64.b64decode(one.data.tags[names.TEST_CORRECT]), np.uint8)
        right = np.unpackbits(bits)
        assert len(bits) == math.ceil(size / 8)
        assert not right[size:].any()
        assert 1 - right[:size].mean() == pytest.approx(one.data.metrics[names.TEST_ERROR])
    module, _ = initdist.load_network(runs(swept)[0].info.run_id, f"sqlite:///{swept / 'mlflow.db'}")
    _, _, inputs, labels = initdist.load_data(runs(swept)[0].info.run_id, f"sqlite:///{swept / 'mlflow.db'}")
    expected = (module(inputs).argmax(1) == labels).numpy()
    bits = np.frombuffer(base64.b64decode(runs(swept)[0].data.tags[names.TEST_CORRECT]), np.uint8)
    assert (np.unpackbits(bits)[: len(expected)].astype(bool) == expected).all()


def test_a_run_says_which_measures_it_has_and_what_they_took(swept):
    for one in runs(swept):
        assert has(one) == {"param_norm": {}, "bartlett": {"margin": "p10"}}
        assert json.loads(one.data.tags[names.MEASURE_SECONDS]).keys() == {"param_norm", "bartlett"}


def test_the_tag_of_all_measures_fits_into_a_store(swept):
    """MLflow cuts what is longer, if it takes it at all."""
    measure(swept, "measures=all")
    for one in runs(swept):
        assert has(one).keys() == catalogue.entries().keys()
        assert max(map(len, one.data.tags.values())) < 8000


def test_a_network_without_a_margin_has_an_infinite_measure(tmp_path):
    """One that guesses: MLflow keeps infinity as the largest number there is."""
    train(tmp_path, "model.width=6", *TINY, "stop.max_epochs=1", "optimizer.lr=1e-9", "measures.names=[inverse_margin]")
    (one,) = runs(tmp_path)
    assert one.data.metrics["measure/inverse_margin"] > 1.7e308


def test_a_network_that_diverged_has_no_measures_and_is_not_tried_again(tmp_path):
    train(tmp_path, "model.width=6", *TINY, "optimizer.lr=1e9", "measures.names=[]")
    (one,) = runs(tmp_path)
    assert one.data.tags[names.STOP_REASON] == names.STOP_DIVERGED
    assert names.TEST_CORRECT not in one.data.tags
    assert "1 measured" in measure(tmp_path, "measures=core,margins").stdout
    (one,) = runs(tmp_path)
    assert values(one) == {}
    assert "1 had everything" in measure(tmp_path, "measures=core,margins").stdout


def test_cheap_measures_have_a_history(tmp_path):
    train(tmp_path, "model.width=6", *TINY, "stop.max_epochs=6", "history=4")
    train(tmp_path, "model.width=6", *TINY, "stop.max_epochs=6", "history=4", "measures.history=false", "resume=false")
    without, along = (one.info.run_id for one in sorted(runs(tmp_path), key=lambda one: -one.info.start_time))
    store = client(tmp_path)
    for layer in (1, 2, 3):
        points = store.get_metric_history(along, f"measure/distance_from_init/layer{layer}")
        assert [point.step for point in points] == [0, 3, 6, 9, 18]
        assert points[0].value == 0
        assert len(store.get_metric_history(without, f"measure/distance_from_init/layer{layer}")) == 1
    whole = [point.value for point in store.get_metric_history(along, names.DISTANCE)]
    by_layer = [
        [point.value for point in store.get_metric_history(along, f"measure/distance_from_init/layer{k}")]
        for k in (1, 2, 3)
    ]
    for total, *parts in zip(whole, *by_layer, strict=True):
        assert math.hypot(*parts) <= total  # which counts biases as well
        assert math.hypot(*parts) == pytest.approx(total, rel=0.2)
    one, other = (store.get_run(run_id).data.metrics for run_id in (along, without))
    assert one == other


def test_from_python(trained):
    """In a process of its own: a pool in this one would outlive the test."""
    script = """
import initdist
found = initdist.measure_runs("param_norm", "pacbayes_sigma", where={"model.width": [6]}, draws=2, device="cpu")
assert (found.total, found.measured, found.complete) == (4, 4, 0), found
found = initdist.measure_runs("param_norm", where={"model.width": 6, "noise.level": 0}, device="cpu")
assert (found.total, found.measured, found.complete) == (2, 0, 2), found
for wrong in ({"where": {"model.widths": 6}}, {"draw": 2}, {"draws": 0}):
    try:
        initdist.measure_runs("param_norm", **wrong)
    except initdist.errors.ConfigError as error:
        print(error)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=trained, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "where.model.widths must be a key of the configuration, got where.model.widths=6",
        "measures.draw must be a key of the configuration, got measures.draw=2",
        "measures.draws must be at least 2, got 0",
    ]
    assert {has(one)["pacbayes_sigma"]["draws"] for one in runs(trained) if has(one)} == {2}
