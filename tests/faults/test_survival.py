"""What happens to sweeps: real processes, signals and stores. After each, the same command ends it well."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from initdist import clean, names
from initdist.sweeps import leases, outbox
from initdist.tracking import Outcome
from tests.command import (
    AWHILE,
    TINY,
    by_identity,
    client,
    in_process,
    kept,
    run,
    runs,
    start,
    train,
    wait_for,
    with_store,
)

AWAY = 3 * float(os.environ.get("INITDIST_FAULTS", "1"))  # seconds; 30 by `make faults`
GRID = ("-m", "model.width=16", "seed=range(0,3)", *AWHILE)


def clean_up(folder: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return in_process(folder, *options, module="initdist.clean", check=check)


def values(run) -> dict[str, float]:
    return dict(run.data.metrics)


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_happened(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        with_store(folder)
    in_process(whole, *GRID)
    process = start(killed, *GRID)
    wait_for(lambda: len(kept(killed, names.CHECKPOINT_FILE)) == 3)
    process.kill()
    process.communicate()
    assert by_identity(killed) == {}
    assert len(kept(killed, names.CHECKPOINT_FILE)) == 3
    done = in_process(killed, *GRID)
    assert "3 networks: 3 finished (0 diverged, 3 at stop.max_epochs" in done.stdout
    assert "0 skipped (finished before), 0 failed" in done.stdout
    expected = by_identity(whole)
    found = by_identity(killed)
    assert {identity: values(one) for identity, one in found.items()} == {k: values(v) for k, v in expected.items()}
    for identity, one in found.items():
        history = [
            [(point.step, point.value) for point in store.get_metric_history(each.info.run_id, names.DISTANCE)]
            for store, each in ((client(killed), one), (client(whole), expected[identity]))
        ]
        assert history[0] == history[1]
    assert not list((killed / "checkpoints").glob("*/*/*"))  # nothing is left of what is finished


def test_trainings_written_down_are_those_never_written_down(tmp_path):
    """And where it is off, nothing is."""
    for folder, minutes in (("on", "1e-3"), ("off", "0")):
        (tmp_path / folder).mkdir()
        in_process(with_store(tmp_path / folder), "model.width=16", *AWHILE, f"checkpoint.every_minutes={minutes}")
    one, other = (next(iter(by_identity(tmp_path / folder).values())) for folder in ("on", "off"))
    assert values(one) == values(other)


def test_the_same_sweep_twice_at_once_trains_each_network_once(tmp_path):
    first = start(with_store(tmp_path), *GRID)
    wait_for(lambda: len(kept(tmp_path, leases.FILE)) == 3)
    second = in_process(tmp_path, *GRID, check=False)
    whose = rf"host {socket.gethostname()}, process {first.pid}, renewed \d+ s ago"
    assert re.search(rf"0 failed, 3 in training by another command \({whose}\), in ", second.stdout)
    assert second.returncode == 1
    first.communicate()
    assert first.returncode == 0
    assert [one.info.status for one in runs(tmp_path)] == ["FINISHED"] * 3
    assert "3 networks: 0 finished (0 diverged), 3 skipped" in in_process(tmp_path, *GRID).stdout


def test_resume_false_does_not_go_on_from_what_was_left(tmp_path):
    process = start(with_store(tmp_path), *GRID)
    wait_for(lambda: len(kept(tmp_path, names.CHECKPOINT_FILE)) == 3)
    process.kill()
    process.communicate()
    for file in kept(tmp_path, names.CHECKPOINT_FILE):
        file.write_bytes(b"would be named if it were read")
    assert "cannot be read" not in train(tmp_path, *GRID, "resume=false").stderr


class Server:
    """A real MLflow server that can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri, self.folder = f"http://127.0.0.1:{self.port}", folder
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        without_jobs = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(command, cwd=self.folder, env=without_jobs, start_new_session=True, **quiet)
        wait_for(self.answers)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return True
        except OSError:
            return False

    def down(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path):
    one = Server(with_store(tmp_path))
    one.up()
    yield one
    one.down()


def test_a_store_that_is_away_for_a_while_is_waited_for(tmp_path, server):
    process = start(tmp_path, "-m", "model.width=4,8", "seed=range(0,3)", *AWHILE, f"tracking.uri={server.uri}")
    wait_for(lambda: kept(tmp_path, names.CHECKPOINT_FILE))
    server.down()
    wait_for(lambda: kept(tmp_path, outbox.FILE))
    time.sleep(AWAY)
    server.up()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "cannot be written to, trying again for" in printed
    assert "6 networks: 6 finished" in printed
    assert [one.info.status for one in runs(tmp_path)] == ["FINISHED"] * 6
    assert len(by_identity(tmp_path)) == 6


def test_a_store_that_stays_away_loses_nothing_that_was_trained(tmp_path, server):
    grid = ("-m", "model.width=4", "seed=range(0,3)", *AWHILE, f"tracking.uri={server.uri}", "tracking.patience=1")
    process = start(tmp_path, *grid)
    wait_for(lambda: kept(tmp_path, names.CHECKPOINT_FILE))
    server.down()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "the same command writes it without training it again" in printed
    trained = kept(tmp_path, outbox.FILE)
    assert trained
    server.up()
    done = in_process(tmp_path, *grid)
    assert "3 networks: 3 finished" in done.stdout
    written = {one.data.tags[names.IDENTITY]: one for one in by_identity(tmp_path).values()}
    assert len(written) == 3
    assert {file.parent.name for file in trained} <= written.keys()
    assert not kept(tmp_path, "*")
    assert len([one for one in runs(tmp_path) if one.info.status == "FINISHED"]) == 3


@pytest.mark.parametrize("damage", ["outcome", "weights", "nothing"])
def test_an_outcome_on_disk_is_whole_or_not_used(tmp_path, damage, capsys):
    weights = tmp_path / names.WEIGHTS_FILE
    weights.write_bytes(b"values")
    outcome = Outcome({"a": 0.1, "b": float("nan")}, [(0, {"a": 1.0}), (3, {"a": 0.5})], 7, {"t": "x"}, [weights])
    outbox.keep(tmp_path, outcome)
    if damage == "outcome":
        file = tmp_path / outbox.FILE
        file.write_text(file.read_text().replace("0.5", "0.6"))
    elif damage == "weights":
        weights.write_bytes(b"others")
    found = outbox.find(tmp_path)
    if damage == "nothing":
        assert repr(found) == repr(outcome)
    else:
        assert found is None
        assert f"{tmp_path / outbox.FILE} cannot be used: " in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_named_before_anything_starts(tmp_path):
    (tmp_path / "file").write_text("")
    done = in_process(tmp_path, *TINY, "checkpoint.dir=file/below", check=False)
    assert done.returncode == 1
    assert "checkpoint.dir must be a folder that can be written to, got file/below" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


def test_what_is_left_behind_is_shown_and_removed_when_told(tmp_path):
    process = start(with_store(tmp_path), *GRID, "stop.max_epochs=1000000")
    wait_for(lambda: len(kept(tmp_path, names.CHECKPOINT_FILE)) == 3)
    process.kill()
    process.communicate()
    (finished, *_) = (file.parent for file in kept(tmp_path, names.CHECKPOINT_FILE))
    in_process(tmp_path, *TINY)
    (identity,) = by_identity(tmp_path)
    left_over = finished.parent / identity
    left_over.mkdir()
    (left_over / names.CHECKPOINT_FILE).write_bytes(b"its network is finished")
    shown = clean_up(tmp_path, "--days", "0").stdout
    assert "4 leftovers" in shown
    assert len(kept(tmp_path, names.CHECKPOINT_FILE)) == 4
    (left_over.parent / "notes").mkdir()
    done = run(tmp_path, "initdist.clean", "--yes").stdout  # the others are not old enough
    assert "1 leftover (0.0 MB) removed" in done
    assert not left_over.exists()
    assert "3 leftovers" in clean_up(tmp_path, "--yes", "--days", "0").stdout
    assert [file.name for file in kept(tmp_path, "*")] == []
    assert (left_over.parent / "notes").is_dir()
    assert len(by_identity(tmp_path)) == 1
    assert "RUNNING" not in {one.info.status for one in runs(tmp_path)}


def test_clean_takes_decoded_images_where_it_is_asked_to_and_nothing_else(tmp_path):
    in_process(with_store(tmp_path), *TINY)
    cache = tmp_path / "cache"
    decoded = cache / f"images-{'a' * 64}"
    for file in (cache / "thesis" / "draft.tex", cache / "notes.txt", decoded / "digests.json"):
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("x" * 60_000)
        for one in (file, file.parent):
            os.utime(one, (1e9, 1e9))
    assert "0 leftovers" in clean_up(tmp_path, "--days", "0").stdout
    shown = clean_up(tmp_path, "--cache", "cache").stdout
    assert f"cache/{decoded.name} (0.1 MB): decoded images" in shown
    assert "1 leftover (0.1 MB) to be removed; --yes does it" in shown
    assert "1 leftover (0.1 MB) removed" in clean_up(tmp_path, "--cache", "cache", "--yes").stdout
    assert sorted(file.name for file in cache.rglob("*")) == ["draft.tex", "notes.txt", "thesis"]


def test_clean_counts_what_could_be_removed(tmp_path, monkeypatch, capsys):
    """As another user's file would stay where this is not root."""
    in_process(with_store(tmp_path), *TINY)
    for name, size in (("a", 300_000), ("b", 500_000)):
        folder = tmp_path / "cache" / f"images-{name * 64}"
        folder.mkdir(parents=True)
        (folder / "train_inputs.npy").write_bytes(b"x" * size)
    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **more: None if "bbb" in str(path) else rmtree(path, **more))
    uri, cache = f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "cache")
    monkeypatch.setattr("sys.argv", ["clean", "--uri", uri, "--cache", cache, "--days", "0", "--yes"])
    clean.main()
    said = capsys.readouterr().out
    assert f"{'b' * 64} (0.5 MB) stays: in use again, or it cannot be removed" in said
    assert "1 leftover (0.3 MB) removed" in said


@pytest.mark.parametrize("option", ["--cache", "--checkpoints"])
def test_clean_names_a_folder_that_is_none(tmp_path, option):
    in_process(with_store(tmp_path), *TINY)
    done = clean_up(tmp_path, option, "nowhere", check=False)
    assert done.returncode == 2
    assert f"{option} must be a folder that exists, got 'nowhere'" in done.stderr


def test_clean_says_that_it_takes_options(tmp_path):
    done = run(tmp_path, "initdist.clean", "tracking.uri=sqlite:///mlflow.db", check=False)
    assert done.returncode == 2
    assert "no such argument: tracking.uri=sqlite:///mlflow.db; options are meant, as in --uri" in done.stderr
