"""Measures of networks that were trained earlier: real processes, a real store, real kills."""

import base64
import contextlib
import json
import math
import os
import re
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
from initdist import catalogue, names, tracking
from initdist.cli.overrides import in_full
from initdist.errors import ConfigError, UserError
from initdist.tracking import TrackingError
from tests.command import TINY, by_identity, client, in_process, run, runs, with_store
from tests.helpers import tiny
from tests.helpers import train as train_here

GRID = ("-m", "model.width=6,8", "seed=range(0,2)", "noise.level=0,0.5", *TINY)
# Undefined for this depth, with options, drawn at random: a bit of everything.
SOME = "core,margins,pacbayes_sigma,hessian_trace,neyshabur_2019"


def measure(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "initdist.measure", "device=cpu", *overrides)


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "initdist.measure", "device=cpu", "workers=1", *overrides]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def here(folder: Path, *chosen: str, **options):
    """`measure_runs` in this process, whose training processes live on for the next test."""
    return initdist.measure_runs(*chosen, tracking_uri=uri(folder), device="cpu", workers=1, **options)


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


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
    in_process(with_store(folder), *GRID, f"measures.names=[{SOME}]")
    return by_identity(folder)


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory) -> Path:
    """A folder with the grid, trained without any measures."""
    folder = tmp_path_factory.mktemp("unmeasured")
    in_process(with_store(folder), *GRID, "measures.names=[]")
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
    assert "8 networks: 8 lack measures (core, " in done.stdout
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
    assert here(trained, *SOME.split(",")).complete == 8


def test_measured_afterwards_the_steps_are_those_that_training_logged(tmp_path):
    """A run of before these metrics has no value, and is known to have none."""
    in_process(
        with_store(tmp_path),
        "model.width=32",
        "optimizer.lr=0.3",
        "stop.max_epochs=60",
        "dataset.train_size=96",
        "device=cpu",
    )
    (one,) = runs(tmp_path)
    metrics = one.data.metrics
    assert 0 < metrics["steps_at_loss/0.1"] < metrics["steps_at_loss/0.01"] == metrics[names.STEPS]
    assert here(tmp_path, "optimization").measured == 1
    (one,) = runs(tmp_path)
    assert values(one)["measure/steps_to_loss"] == metrics["steps_at_loss/0.1"]
    between = metrics["steps_at_loss/0.01"] - metrics["steps_at_loss/0.1"]
    assert values(one)["measure/steps_between_losses"] == between
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        for table in ("metrics", "latest_metrics"):
            database.execute(f"delete from {table} where key like 'steps_at_loss/%' or key like 'measure/steps%'")
        database.execute("delete from tags where key = 'initdist.measures'")
        database.commit()
    assert here(tmp_path, "optimization").measured == 1
    (one,) = runs(tmp_path)
    assert not [key for key in values(one) if "steps" in key]
    assert values(one)["measure/gradient_noise"] > 0
    assert {"steps_to_loss", "steps_between_losses"} <= has(one).keys()


def test_killed_at_any_time_and_started_again_it_ends_as_if_never_killed(trained, measured_in_training):
    """After one network's values, and after four: those are there, whole, and the rest are not."""
    for wanted in (1, 4):
        process = start(trained, f"measures={SOME}")
        while sum(bool(has(one)) for one in runs(trained)) < wanted:
            assert process.poll() is None
        process.kill()
        process.communicate()
        for identity, one in by_identity(trained).items():
            if has(one):
                assert values(one) == values(measured_in_training[identity])
    before = sum(bool(has(one)) for one in runs(trained))
    last = here(trained, *SOME.split(","))
    assert (last.measured, last.complete) == (8 - before, before)
    for identity, one in by_identity(trained).items():
        assert values(one) == values(measured_in_training[identity])


def test_two_at_once_do_no_harm(trained):
    """The one computes what the other computes, and more: all of it is there, and known to be."""
    first, second = start(trained, "measures=core,margins"), start(trained, "measures=core,norms")
    for process in (first, second):
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert here(trained, "core", "margins", "norms").complete == 8
    for one in runs(trained):
        assert {"measure/param_norm", "measure/inverse_margin", "measure/fro_over_spec"} <= values(one).keys()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_what_it_did(trained, number):
    process = start(trained, "measures=all", "measures.draws=300")  # so long that the signal comes before the end
    while not any(has(one) for one in runs(trained)):
        assert process.poll() is None
    process.send_signal(number)
    printed, _ = process.communicate()
    assert process.returncode == 128 + number
    assert "not measured, in " in printed
    assert "Traceback" not in printed


def test_only_what_is_missing_is_computed_and_options_count(trained):
    here(trained, "core", where={"model.width": 6, "seed": 0})
    before = {one.info.run_id: values(one) for one in runs(trained)}
    assert sum(bool(own) for own in before.values()) == 2
    assert here(trained, "param_norm", "pacbayes_sigma", draws=2).measured == 8
    for one in runs(trained):
        new = values(one).keys() - before[one.info.run_id].keys()
        assert "measure/pacbayes_sigma" in new
        assert ("measure/param_norm" in new) == (before[one.info.run_id] == {})
        assert len(client(trained).get_metric_history(one.info.run_id, "measure/param_norm")) == 1
        assert has(one)["pacbayes_sigma"]["draws"] == 2
        assert has(one)["param_norm"] == {}
    few = {one.info.run_id: values(one)["measure/pacbayes_sigma"] for one in runs(trained)}
    assert here(trained, "pacbayes_sigma", draws=5).measured == 8
    many = {one.info.run_id: values(one)["measure/pacbayes_sigma"] for one in runs(trained)}
    assert few != many  # the store shows the newer ones
    assert {has(one)["pacbayes_sigma"]["draws"] for one in runs(trained)} == {5}


def test_what_cannot_be_measured_is_named_skipped_and_counted(trained, capfd):
    bare, corrupt, cut, narrow, begun, moved, *rest = runs(trained)
    weights(bare).unlink()
    weights(corrupt).write_bytes(b"no tensors")
    weights(cut).write_bytes(weights(cut).read_bytes()[:-5])
    held = load_file(weights(narrow))
    save_file({name: tensor[:3].contiguous() for name, tensor in held.items()}, weights(narrow))
    client(trained).set_tag(begun.info.run_id, names.THETA0, "0" * 64)
    client(trained).set_tag(moved.info.run_id, names.IDENTITY, "1" * 64)
    found = here(trained, "param_norm")
    assert found.sentence(1) == ("8 networks: 2 measured, 0 had everything, 1 lack weights, 5 refused, 0 failed, in 1s")
    said = capfd.readouterr().err
    for one, reason in (
        (bare, f"lacks weights: there are none in {weights(bare).parent}: they were removed, or not kept"),
        (corrupt, "is refused: weights.safetensors is corrupt"),
        (cut, "is refused: weights.safetensors is corrupt"),
        (narrow, "is refused: its weights do not match its config: 1.weight must be ["),
        (begun, "is refused: the initial parameters drawn here, by numpy "),
        (moved, "is refused: its config or its data are not those of this version"),
    ):
        assert f"{one.info.run_name} (run {one.info.run_id}) {reason}" in said
    assert {one.info.run_id for one in runs(trained) if has(one)} == {one.info.run_id for one in rest}
    shown = in_process(trained, "device=cpu", "measures=param_norm", "dry_run=true", module="initdist.measure").stdout
    assert f"(run {bare.info.run_id})  lacks param_norm, and has no weights to compute them from" in shown
    assert "dry run: 8 networks: 5 lack measures (param_norm), 2 have everything" in shown
    assert re.search(r"to measure: very roughly \d+s on \d+ CPU process", shown)


def test_training_says_what_finished_networks_lack_and_names_the_command(trained):
    command = (*GRID, "measures=margins", "measures.margin=p5")
    said = in_process(trained, *command).stdout
    assert "8 networks that had finished lack measures (core, margins). To compute them:" in said
    line = said.splitlines()[-1].strip()
    assert line.startswith("python -m initdist.measure measures=core,margins sweep=")
    assert line.endswith(" measures.margin=p5")
    _, _, module, *overrides = shlex.split(line)
    assert "8 measured" in in_process(trained, *overrides, module=module).stdout
    assert "lack measures" not in in_process(trained, *command).stdout


def test_mistakes_are_named(unmeasured, tmp_path):
    for options, message in (
        ({"sweep": "none"}, "sweep must be one of the experiment 'initdist', which has "),
        ({"where": {"model.width": 7}}, "no finished network of 'initdist' is meant by where.model.width=7"),
        ({"where": {"model.widths": 7}}, "where.model.widths must be a key of the configuration"),
        ({"draw": 7}, "measures.draw must be a key of the configuration"),
        ({"draws": 0}, "measures.draws must be at least 2, got 0"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            here(unmeasured, "param_norm", **options)
    with pytest.raises(ConfigError, match=r"measures\.names must be one of all, .* got 'cores'; did you mean core\?"):
        here(unmeasured, "cores")
    with pytest.raises(TrackingError, match=r"tracking\.experiment must be in .*, got 'other', which is not"):
        here(unmeasured, "core", experiment="other")
    with pytest.raises(TrackingError, match=r"tracking\.uri must be a store that is there, got sqlite:///"):
        here(tmp_path, "core")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["where.model.widths=7"], "where.model.widths must be a key of the config, got"),
        (["device=gpu", "where.seed=0,1"], "device must be auto, cpu, cuda or cuda:<index>, got 'gpu'"),
        (["-m", "measures=core,norms"], "--multirun has no meaning here"),
    ],
)
def test_mistakes_on_the_command_line_are_named(unmeasured, overrides, message):
    done = in_process(unmeasured, *overrides, module="initdist.measure", check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_lists_are_written_as_in_a_sweep():
    assert in_full("measures=pacbayes,ntk") == "measures.names=[pacbayes,ntk]"
    assert in_full("measures=[pacbayes,ntk]") == "measures.names=[pacbayes,ntk]"
    assert in_full("measures.names=all") == "measures.names=[all]"
    assert in_full("where.model.width=64,256") == "where.model.width=[64,256]"
    assert in_full("where.seed=3") == "where.seed=3"
    for other in ("measures.draws=8", "tracking.uri=sqlite:///a,b.db", "--help", "-m"):
        assert in_full(other) == other


def test_a_run_says_which_test_samples_are_right(unmeasured):
    one = runs(unmeasured)[0]
    module, _ = initdist.load_network(one.info.run_id, uri(unmeasured))
    _, _, inputs, labels = initdist.load_data(one.info.run_id, uri(unmeasured))
    bits = np.frombuffer(base64.b64decode(one.data.tags[names.TEST_CORRECT]), np.uint8)
    right = np.unpackbits(bits)[: len(labels)].astype(bool)
    assert len(labels) == int(one.data.tags[names.TEST_SIZE])
    assert len(bits) == math.ceil(len(labels) / 8)
    assert (right == (module(inputs).argmax(1) == labels).numpy()).all()
    assert 1 - right.mean() == pytest.approx(one.data.metrics[names.TEST_ERROR])


def test_the_tag_of_all_measures_fits_into_a_store(trained):
    """MLflow cuts what is longer, if it takes it at all."""
    assert here(trained, where={"model.width": 6, "seed": 0, "noise.level": 0}).measured == 1
    (one,) = (one for one in runs(trained) if has(one))
    assert has(one).keys() == json.loads(one.data.tags[names.MEASURE_SECONDS]).keys() == catalogue.entries().keys()
    assert max(map(len, one.data.tags.values())) < 8000


def test_networks_without_a_margin_and_without_finite_weights(tmp_path):
    """One that guesses has an infinite value, which MLflow keeps as the largest number there is; one that diverged has
    none, and is not tried again."""
    grid = ("-m", "model.width=6", "optimizer.lr=1e-9,1e9", *TINY, "measures.names=[]")
    in_process(with_store(tmp_path), *grid)
    assert here(tmp_path, "core", "margins").measured == 2
    guessing, diverged = sorted(runs(tmp_path), key=lambda one: one.data.tags[names.STOP_REASON] == "diverged")
    assert guessing.data.metrics["measure/inverse_margin"] > 1.7e308
    assert diverged.data.tags[names.STOP_REASON] == names.STOP_DIVERGED
    assert values(diverged).keys() <= {"measure/parameters"}
    assert names.TEST_CORRECT in guessing.data.tags
    assert names.TEST_CORRECT not in diverged.data.tags
    assert here(tmp_path, "core", "margins").complete == 2


def test_a_tag_that_cannot_be_read_is_as_none(trained):
    for one in runs(trained):
        client(trained).set_tag(one.info.run_id, names.MEASURES, '{"param_norm": {')
    assert here(trained, "param_norm").measured == 8
    assert all(has(one) == {"param_norm": {}} for one in runs(trained))


def test_cheap_measures_have_a_history():
    along, without = (
        train_here([tiny({"stop.max_epochs": 6, "history": 4, "measures.history": on})])[0].result
        for on in (True, False)
    )
    assert along.metrics == without.metrics
    own = {f"measure/distance_from_init/layer{k}" for k in (1, 2)} | {"measure/param_norm"}
    assert [step for step, _ in along.history] == [step for step, _ in without.history]
    for (_, point), (_, bare) in zip(along.history, without.history, strict=True):
        assert point.keys() - bare.keys() == own
        by_layer = math.hypot(*(point[f"measure/distance_from_init/layer{k}"] for k in (1, 2)))
        assert by_layer <= point[names.DISTANCE]  # which counts biases as well
        assert by_layer == pytest.approx(point[names.DISTANCE], rel=0.2)


def test_a_store_knows_sweeps_by_their_networks(unmeasured):
    store = tracking.existing(uri(unmeasured), "initdist")
    (parent,) = runs(unmeasured, "sweep")
    assert tracking.sweep_identities(store, parent.data.tags[names.SWEEP]) == by_identity(unmeasured).keys()
    assert tracking.sweep_identities(store, "none") is None
