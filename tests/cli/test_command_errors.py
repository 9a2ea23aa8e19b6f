"""Mistakes at the command line: one clear line, a non-zero exit, no run and no store left behind."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initdist import names
from tests.command import TINY, by_identity, client, in_process, kept, run, runs, train, with_store

ROOT = Path(__file__).resolve().parents[2]

MISTAKES = {
    "unknown key": (
        ("model.widht=3",),
        "model.widht must be a key of the config, got model.widht=3; did you mean model.width?",
    ),
    "unknown section": (
        ("modle.width=3",),
        "modle.width must be a key of the config, got modle.width=3; did you mean model.width?",
    ),
    "unknown model": (("model=mpl",), "model must be one of cnn, linear, mlp, resnet, got 'mpl'; did you mean mlp?"),
    "unknown model of several": (("-m", "model=cnn,mpl"), "got 'mpl'; did you mean mlp?"),
    "unknown group": (("modle=mlp",), "modle must be a key of the config, got modle=mlp; did you mean model?"),
    "wrong type": (
        ("model.width=wide",),
        "model.width must be a whole number, got model.width=wide",
    ),
    "no value": (("seed=",), "seed must be a whole number, got seed="),
    "half a range": (("-m", "seed=range(0"), "seed=range(0 must be key=value in Hydra's grammar (https://hydra.cc/"),
    "no key": (("mlp",), "mlp must be key=value in Hydra's grammar"),
    "unknown value": (("model.activation=rleu",), "got 'rleu'; did you mean relu?"),
    "unknown interpolation": (("seed=${nope}",), "Interpolation key 'nope' not found"),
    "unknown in a list": (("vary.seed=[1,[2]]",), "seed: Value '[2]' of type 'ListConfig' could not be converted"),
    "no checkpoints": (("checkpoint.dir=",), "checkpoint.dir must be the path of a folder, got ''"),
    "added key": (("+model.width=3",), "An item is already at 'model.width'. Either remove + prefix"),
    "width 0": (("model.width=0",), "model.width must be at least 1, got 0"),
    "negative lr": (("optimizer.lr=-0.1",), "optimizer.lr must be a finite number above 0, got -0.1"),
    "noise level": (("noise.level=1.5",), "noise.level must be between 0 and 1, got 1.5"),
    "train_size": (
        ("dataset.train_size=1281",),
        "dataset.train_size must be at most 1280, the training samples of digits, got 1281",
    ),
    "set and varied": (
        ("seed=1", "vary.seed=[1,2]"),
        "seed must not be both set and varied, got seed=1 and vary.seed=[1,2]; give one of them",
    ),
    "swept and varied": (
        ("-m", "seed=1,2", "vary.seed=[1,2]"),
        "seed must not be both set and varied, got seed=1,2 and vary.seed=[1,2]; give one of them",
    ),
    "several experiments": (
        ("-m", "experiment=width,label_noise"),
        "experiment must be a single name, got experiment=width,label_noise",
    ),
    "one bad job of many": (("-m", "model.width=4,8,0"), "model.width must be at least 1, got 0"),
    "radius without a constraint": (
        ("constraint.radius=3",),
        "constraint.radius must be null for constraint=none, which does not use it, got 3.0",
    ),
    "multiple without a constraint": (
        ("-m", "constraint.of_free=0.5,0.8"),
        "constraint.of_free must be null for constraint=none, which does not use it, got 0.5",
    ),
    "no radius": (
        ("constraint=init_shell",),
        "constraint.radius or constraint.of_free must be given for constraint=init_shell, got neither",
    ),
    "two radii": (
        ("constraint=init_ball", "constraint.radius=3", "constraint.of_free=0.8"),
        "constraint.radius and constraint.of_free must not both be given, got constraint.radius=3.0 and "
        "constraint.of_free=0.8; give one of them",
    ),
    "no decay": (
        ("constraint=init_decay",),
        "constraint.decay must be given for constraint=init_decay, got null",
    ),
    "radius of a decay": (
        ("constraint=init_decay", "constraint.radius=3"),
        "constraint.radius must be null for constraint=init_decay, which does not use it, got 3.0",
    ),
    "multiple of what was never trained": (
        ("constraint=init_ball", "constraint.of_free=0.8", "model.width=4"),
        "Train it first: python -m initdist.train model.width=4 constraint=none",
    ),
    "unknown measure": (("measures.names=[cor]",), "got 'cor'; did you mean core?"),
    "other model's name": (("model.name=linear",), "choose the model with model=linear"),
    "device": (("device=gpu",), "device must be auto, cpu, cuda or cuda:<index>, got 'gpu'"),
    "sweep by hand": (
        ("-m", "seed=1,2", "vary.sed=[1]"),
        "vary.sed must be a key of the config, got vary.sed=[1]; did you mean vary.seed?",
    ),
    "missing data": (
        ("dataset=mnist", "dataset.root=nowhere", "dataset.download=false"),
        "dataset.download is false. Expected files: train-images-idx3-ubyte",
    ),
    "file store": (("tracking.uri=./mlruns",), "tracking.uri must be a database or a server"),
    "folder that takes no files": (
        ("tracking.uri=sqlite:////proc/x.db",),
        "tracking.uri must be writable, got sqlite:////proc/x.db",
    ),
    "folder for a store": (
        ("tracking.uri=sqlite:////tmp",),
        "must be a SQLite database, got sqlite:////tmp: /tmp is no file",
    ),
    "file for a folder": (
        ("tracking.uri=sqlite:////dev/null/x.db",),
        "must be in a folder that exists, got sqlite:////dev/null/x.db: /dev/null is none",
    ),
    "no folder": (("tracking.uri=sqlite:////no/such/folder/mlflow.db",), "must be in a folder that exists"),
    "no server": (("tracking.uri=http://127.0.0.1:1",), "no server answers there"),
}


def _check_refusal(done: subprocess.CompletedProcess[str], message: str, folder: Path) -> None:
    """One line that names the mistake, exit code 1, and no store."""
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("initdist: ")
    assert message in line
    assert not (folder / "mlflow.db").exists()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_and_leaves_nothing(tmp_path, name):
    overrides, message = MISTAKES[name]
    done = in_process(tmp_path, *overrides, check=False)
    _check_refusal(done, message, tmp_path)


@pytest.mark.parametrize("name", ["unknown key", "width 0", "one bad job of many", "file store"])
def test_a_command_ends_with_the_same_line(tmp_path, name):
    """As a user starts it. One of each: refused by Hydra, by a config's check, by the sweeper, by the store."""
    overrides, message = MISTAKES[name]
    done = train(tmp_path, *overrides, check=False)
    _check_refusal(done, message, tmp_path)


def test_hydra_still_tells_all_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in train(tmp_path, "model.widht=3", check=False).stderr


def test_a_device_that_is_not_there_leaves_no_network_run(tmp_path):
    done = in_process(with_store(tmp_path), *TINY, "device=cuda:7", check=False)
    assert done.returncode == 1
    assert "device must be there, got cuda:7" in done.stderr
    assert runs(tmp_path) == []


def test_a_database_of_something_else_is_refused_and_kept(tmp_path):
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE measurements (x)")
    database.close()
    before = (tmp_path / "mlflow.db").read_bytes()
    done = in_process(tmp_path, *TINY, check=False)
    assert done.returncode == 1
    assert "tracking.uri must be a store of MLflow or a new one, got sqlite:///" in done.stderr
    assert done.stderr.endswith("a database of measurements\n")
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert not (tmp_path / "mlflow.db.lock").exists()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    (tmp_path / "mlflow.db").write_text("something else\n" * 100)
    done = in_process(tmp_path, *TINY, check=False)
    assert done.returncode == 1
    assert "tracking.uri must be a SQLite database, got sqlite:///" in done.stderr
    assert (tmp_path / "mlflow.db").read_text() == "something else\n" * 100
    assert not (tmp_path / "mlflow.db.lock").exists()


def test_a_member_that_is_wrong_trains_no_network_and_leaves_nothing(tmp_path):
    """A developer's mistakes, in a copy of the sources: a measure whose name is taken; and a noise that has its two
    files, but its function is misspelt."""
    for folder in ("initdist", "hydra_plugins", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "initdist/data/noise/blur.py").write_text("def chnage(noise, images, network, samples): ...\n")
    (tmp_path / "conf/noise/blur.yaml").write_text("defaults:\n  - /schema/noise@_here_\n\nname: blur\nlevel: 0.5\n")
    done = train(tmp_path, "noise=blur", "model.width=4", *TINY, check=False)
    assert done.returncode == 1
    assert not (tmp_path / "mlflow.db").exists()
    expected = (
        "noise.name=blur: either redraw or change must be there in initdist.data.noise.blur; see initdist.data.noise"
    )
    assert done.stderr.splitlines()[-1] == f"initdist: {expected}._base"
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (tmp_path / "initdist/measures/twice.py").write_text(
        "from initdist.measures import measure\n"
        '@measure(group="norms", formula="0", source="arXiv 0000.00000")\ndef param_norm(subject): ...\n'
    )
    expected = (
        "initdist: measure param_norm: its name must be its own, got that of one in initdist.measures.core in "
        "initdist.measures.twice\n"
    )
    done = train(tmp_path, "model.width=4", *TINY, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    done = run(tmp_path, "initdist.measures", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert not (tmp_path / "mlflow.db").exists()


def test_help_and_config_read_well(tmp_path):
    shown = run(tmp_path, "initdist.train", "--help").stdout
    assert "python -m initdist.train -m model.width=64,256,1024" in shown
    assert "width: 256" in shown
    for group in ("model", "dataset", "noise", "loss", "optimizer", "constraint", "measures", "experiment"):
        assert f"{group}: {', '.join(sorted(file.stem for file in (ROOT / 'conf' / group).glob('*.yaml')))}\n" in shown
    composed = run(tmp_path, "initdist.train", "--cfg", "job", "loss=squared_error").stdout
    assert "lr: ${loss.sgd_lr}" in composed
    assert "model: mlp" in run(tmp_path, "initdist.train", "--info", "defaults-tree").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_ends_the_running_as_killed_and_keeps_the_finished(tmp_path, number):
    quick, endless = "stop.train_loss=0.5", "stop.max_epochs=1000000"
    overrides = ("-m", "model.width=4,5", "optimizer.lr=0.1,1e-9", quick, endless, "device=cpu", "workers=2")
    command = [sys.executable, "-m", "initdist.train", *overrides]

    def heed() -> None:  # as from a terminal, even where these tests run in the background of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if (tmp_path / "mlflow.db").exists() and client(tmp_path).get_experiment_by_name("initdist") is not None:
            statuses = [one.info.status for one in runs(tmp_path)]
            if "FINISHED" in statuses and "RUNNING" in statuses:
                break
        time.sleep(0.3)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert sorted(one.info.status for one in runs(tmp_path)) == ["FINISHED", "KILLED"]
    assert [one.info.status for one in runs(tmp_path, "sweep")] == ["KILLED"]
    assert "4 networks: 1 finished (0 diverged), 0 skipped (finished before), 0 failed, 3 not trained" in printed
    assert len(by_identity(tmp_path)) == 1
    assert len(kept(tmp_path, names.CHECKPOINT_FILE)) == 1  # written down now: ten minutes are not over
