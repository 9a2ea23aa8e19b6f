"""Faults around a sweep: what breaks in one job, on the disk, in the clock, in the code and in the data."""

import re
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from socket import gethostname

import pytest

from initdist import names, provenance, tracking
from initdist.data.datasets import images
from initdist.events import Failed, Task, ToTrain
from initdist.sweeps import planning
from initdist.sweeps.leases import FILE, Leases
from initdist.sweeps.workspace import Workspace
from initdist.tracking import process
from initdist.workers import worker
from tests import command
from tests.command import AWHILE, LONG, OTHER, TINY, by_identity, in_process, kept, runs, start, wait_for, with_store
from tests.helpers import CPU, Heard, composed, tiny

ROOT = Path(__file__).resolve().parents[2]


def planned(folder: Path, *overrides: str) -> list[planning.Network]:
    return planning.networks(composed(*overrides, f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"))


def own_folder(folder: Path, network: planning.Network) -> Path:
    store = tracking.prepare(network.config.tracking.uri, network.config.tracking.experiment)
    return Workspace.of(str(folder / "checkpoints"), store).folder(network.identity)


def statuses(folder: Path) -> list[str]:
    return sorted(one.info.status for one in runs(folder))


def test_an_exception_in_one_job_leaves_the_others_and_is_named_with_its_log(tmp_path):
    with_store(tmp_path)
    (network,) = planned(tmp_path, "model.width=4", *TINY)
    blocked = own_folder(tmp_path, network) / names.WEIGHTS_FILE / "in the way"
    blocked.mkdir(parents=True)
    grid = ("-m", "model.width=4,5,6", *TINY)
    done = in_process(tmp_path, *grid, check=False)
    assert done.returncode == 1
    closing = done.stdout.splitlines()[-1]
    assert closing.startswith(
        "3 networks: 2 finished (0 diverged, 2 at stop.max_epochs without reaching their stopping"
    )
    assert "rule), 0 skipped (finished before), 1 failed (job 0, mlp" in closing
    log = Path(closing.partition(": ")[2].partition("n96: ")[2].partition(")")[0])
    assert "IsADirectoryError" in (tmp_path / log).read_text()
    assert statuses(tmp_path) == ["FAILED", "FINISHED", "FINISHED"]
    shutil.rmtree(blocked.parent)
    again = in_process(tmp_path, *grid).stdout
    assert "3 networks: 1 finished (0 diverged, 1 at stop.max_epochs" in again
    assert "rule), 2 skipped" in again


def test_a_job_of_a_launcher_that_is_killed_is_trained_by_the_next_command(tmp_path):
    grid = (
        "-m",
        "model.width=4,8",
        "seed=0,1",
        *LONG,
        "stop.max_epochs=600",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
    )
    process = start(with_store(tmp_path), *grid)
    wait_for(lambda: len(kept(tmp_path, names.CHECKPOINT_FILE)) == 4)
    owner = kept(tmp_path, "claim")[0].read_text().split(":")[-2]
    assert int(owner) != process.pid
    subprocess.run(["kill", "-9", owner], check=True)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "initdist: the launcher ended with TerminatedWorkerError" in printed
    assert "Traceback" not in printed
    done = in_process(tmp_path, *grid[:-2])  # its networks are the same, whoever launches them
    assert "0 failed" in done.stdout
    assert len(by_identity(tmp_path)) == statuses(tmp_path).count("FINISHED") == 4


def test_a_stack_beyond_the_machines_memory_fails_alone(tmp_path):
    """A real limit: 8192 units take 268 MB in weights, and a few times that to train."""
    command = [sys.executable, "-m", "initdist.train", "-m", "model.width=8192,4", *TINY, "workers=1"]
    limit = partial(resource.setrlimit, resource.RLIMIT_DATA, (1_200_000_000, 1_200_000_000))
    done = subprocess.run(
        command, cwd=with_store(tmp_path), capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 networks: 1 finished (0 diverged, 1 at stop.max_epochs without reaching its stopping rule)" in done.stdout
    assert "0 skipped (finished before), 1 failed (job 0, mlp w8192" in done.stdout
    # PyTorch's words, and NumPy's
    assert "allocate memory" in done.stdout or "Unable to allocate" in done.stdout
    assert statuses(tmp_path) == ["FAILED", "FINISHED"]


def test_a_network_that_diverges_is_finished_and_counted(tmp_path):
    grid = ("-m", "model.width=4", "optimizer.lr=0.1,1e30", *TINY)
    closing = "2 networks: 2 finished (1 diverged, 1 at stop.max_epochs without reaching its stopping rule), 0 skipped"
    assert closing in in_process(with_store(tmp_path), *grid).stdout
    assert "0 finished (0 diverged), 2 skipped" in in_process(tmp_path, *grid).stdout
    assert {one.data.tags[names.STOP_REASON] for one in runs(tmp_path)} == {"diverged", "max_epochs"}


def test_a_file_that_may_not_grow_is_named_and_the_same_command_goes_on(tmp_path):
    """A limit on the size of files: the store is below it, weights and checkpoints of 1024 units are not."""
    grid = ("-m", "model.width=1024,4", *TINY, "checkpoint.every_minutes=1e-6", "tracking.patience=1")
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    command = [sys.executable, "-m", "initdist.train", *grid]
    done = subprocess.run(
        command, cwd=with_store(tmp_path), capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert done.returncode == 1
    assert "checkpoint.safetensors: File too large. Its training goes on" in done.stderr
    assert "weights.safetensors cannot be written to: File too large. Nothing that is there is lost" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "2 networks: 1 finished (0 diverged, 1 at stop.max_epochs" in done.stdout
    assert "0 skipped (finished before), 1 failed (job 0" in done.stdout
    again = in_process(tmp_path, *grid).stdout
    assert "2 networks: 1 finished (0 diverged, 1 at stop.max_epochs" in again
    assert "rule), 1 skipped" in again
    assert not kept(tmp_path, "*")


FULL_DISK = """
set -e
mount -t tmpfs -o size=$SIZE none "$FOLDER"
cd "$FOLDER"
"$@" model.width=4 seed=100 $GIVEN > first.txt 2>&1
head -c 1G /dev/zero > ballast 2> /dev/null || true
head -c $ROOM /dev/zero > room 2> /dev/null || truncate -s -$ROOM ballast
rm -f room
set +e
"$@" -m model.width=64 'seed=range(0,24)' $GIVEN > "$KEPT/full.txt" 2>&1
echo $? > "$KEPT/code"
rm ballast
"$@" -m model.width=64 'seed=range(0,24)' $GIVEN > "$KEPT/after.txt" 2>&1
cp -r mlflow.db* checkpoints "$KEPT"
"""


def test_a_full_disk_is_named_and_the_same_command_goes_on(tmp_path):
    """A file system of a few megabytes in a name space of its own, filled up to the last 600 kB."""
    disk, outside = tmp_path / "disk", tmp_path / "outside"
    disk.mkdir()
    outside.mkdir()
    unshared = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*unshared, f"mount -t tmpfs -o size=1m none '{disk}'"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs a mount in a user name space of its own (unshare --user --mount)")
    given = " ".join([*TINY, "tracking.patience=1", "hydra.output_subdir=null"])
    variables = command.environment() | {"SIZE": "12m", "ROOM": "600000", "FOLDER": str(disk), "KEPT": str(outside)}
    variables["GIVEN"] = given
    script = [*unshared, FULL_DISK, "sh", sys.executable, "-m", "initdist.train"]
    made = subprocess.run(script, env=variables, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (outside / "code").exists(), made.stderr
    full, after = (outside / "full.txt").read_text(), (outside / "after.txt").read_text()
    assert (outside / "code").read_text().strip() == "1", full
    assert "No space left on device" in full or "disk is full" in full
    assert "Traceback" not in full
    assert " 0 failed" in after, after
    assert sum(one.info.status == "FINISHED" for one in runs(outside)) == len(by_identity(outside)) == 25
    assert not [file for file in kept(outside, "*") if not file.name.startswith(".")]


# The networks of these tests train for some epochs, and no longer: all of them miss their threshold.
MISSED = r"0 diverged, \d at stop.max_epochs without reaching (?:its|their) stopping rule"


def test_two_overlapping_sweeps_at_once_train_each_network_once(tmp_path):
    first = start(with_store(tmp_path), "-m", "model.width=16", "seed=range(0,3)", *AWHILE)
    wait_for(lambda: len(kept(tmp_path, "claim")) == 3)
    second = in_process(tmp_path, "-m", "model.width=16", "seed=range(2,4)", *AWHILE, check=False)
    # The one that they share has been finished meanwhile, or is in training.
    one = rf"1 finished \({MISSED}\), 0 skipped \(finished before\), 0 failed, 1 in training by another command"
    assert re.search(rf"2 networks: ({one}|2 finished \({MISSED}\), 0 skipped)", second.stdout), second.stdout
    assert second.returncode == ("in training" in second.stdout)
    printed, _ = first.communicate(timeout=300)
    assert "3 networks: 3 finished" in printed
    assert statuses(tmp_path) == ["FINISHED"] * 4
    assert len(by_identity(tmp_path)) == 4
    ends = ["FAILED" if second.returncode else "FINISHED", "FINISHED"]  # by whether one was left to the other
    assert sorted(one.info.status for one in runs(tmp_path, "sweep")) == ends
    (shared,) = (one for one in runs(tmp_path) if one.data.params["seed"] == "2")
    assert f":{first.pid}:" in shared.data.tags[names.PROCESS]


# Every Python that starts with this on its path sees a clock that is hours behind, at once or after some seconds.
CLOCK = """
import os, time
began, true = time.monotonic(), time.time
time.time = lambda: true() - (7200 if time.monotonic() - began >= float(os.environ["BEHIND_AFTER"]) else 0)
"""


@pytest.fixture
def clock(tmp_path):
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK)
    return lambda after: {"PYTHONPATH": f"{folder}:{ROOT}", "BEHIND_AFTER": str(after)}


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(tmp_path, clock):
    """In the middle of one command; and for a command beside it that finishes some of its networks meanwhile."""
    first = start(with_store(tmp_path), "-m", "model.width=16,8", "seed=0,1", *LONG, **clock(2.0))
    wait_for(lambda: len(kept(tmp_path, "claim")) == 2)
    beside = start(tmp_path, "-m", "model.width=8", "seed=0", *LONG, **clock(0))
    printed, _ = beside.communicate(timeout=300)
    assert "1 network: 1 finished" in printed
    printed, _ = first.communicate(timeout=300)
    one = rf"3 finished \({MISSED}\), 0 skipped \(finished before\), 0 failed, 1 in training by another command"
    assert re.search(rf"4 networks: ({one}|4 finished \({MISSED}\), 0 skipped)", printed), printed
    assert first.returncode == ("in training" in printed)
    assert statuses(tmp_path) == ["FINISHED"] * 4
    assert len(by_identity(tmp_path)) == 4


def test_runs_carry_the_code_that_trained_them_and_an_edit_in_a_sweep_is_said(tmp_path):
    checkout, folder = tmp_path / "checkout", tmp_path / "folder"
    folder.mkdir()
    with_store(folder)
    for part in ("initdist", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    here = {"PYTHONPATH": str(checkout)}
    process = start(folder, "-m", "model.width=16", "seed=0,1", *AWHILE, **here)
    wait_for(lambda: len(kept(folder, "claim")) == 2)
    with (checkout / "initdist" / "training.py").open("a") as file:
        file.write("# edited while the sweep ran\n")
    printed, _ = process.communicate(timeout=300)
    assert "2 finished" in printed
    assert {one.data.tags[names.CODE] for one in runs(folder)} == {provenance.code()}
    printed, _ = start(folder, "-m", "model.width=16", "seed=0,1,2", *AWHILE, **here).communicate(timeout=300)
    codes = {one.data.tags[names.CODE] for one in runs(folder)}
    assert len(codes) == 2
    assert (
        f"initdist: networks of this sweep are, or were, trained by different code ({', '.join(sorted(codes))})"
        in printed
    )


def test_data_that_is_replaced_after_the_command_began_is_named(tmp_path):
    from PIL import Image

    for split in ("train", "test"):
        for k in range(6):
            file = tmp_path / split / f"class{k % 2}" / f"{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), 40 * k).save(file)
    changes = {"dataset.root": str(tmp_path), "dataset.cache": str(tmp_path / "cache"), "dataset.train_size": 4}
    config = tiny(changes, "dataset=images")
    before = images.describe(config.dataset).fingerprint
    Image.new("L", (4, 4), 255).save(file)
    images._recent.cache_clear()

    heard = Heard()
    worker._train(heard, Task((ToTrain("0", config),), before), CPU)
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert failed.error == (
        f"dataset images must stay as it was when the command began, got other content in {tmp_path}"
    )


def test_a_damaged_sweep_file_is_named(tmp_path):
    from initdist.errors import ConfigError
    from initdist.sweeps import session

    for content in ("", "{", "[1]", '{"store": 3}', "[" * 100_000, '{"store": {"uri": "", "other": 1}}'):
        settings = tiny({"tracking.sweep": f"{'5' * 12}-{'a' * 8}"}).tracking
        session.file_of(tmp_path, settings.sweep).write_text(content)
        with pytest.raises(ConfigError, match=r"sweep-.*\.json must be as the sweeper wrote it, got a damaged one"):
            session.join(tmp_path, settings)


def test_claims_of_the_dead_and_of_nobody_do_not_stand(tmp_path):
    """Of a killed process, also before its parent has asked after it; of a file that was cut off."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    living = f"{gethostname()}:{child.pid}:{process._kernel()}-{process._start(child.pid)}"
    owners = {"a": living, "b": "", "c": "cut of", "d": OTHER, "e": "x:\0:\xff"}
    for identity, owner in owners.items():
        (tmp_path / identity).mkdir()
        (tmp_path / identity / FILE).write_text(owner, encoding="latin-1")
    with Leases(tmp_path).held("abcde") as (mine, _):
        assert mine == set("bce")
    child.send_signal(signal.SIGKILL)
    wait_for(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    with Leases(tmp_path).held("abcde") as (mine, _):
        assert mine == set("abce")
    child.wait()
    assert [file.parent.name for file in sorted(tmp_path.glob("*/claim"))] == ["d"]


def test_a_claim_that_another_has_taken_over_is_left_to_it(tmp_path):
    with Leases(tmp_path).held(["a"]):
        (tmp_path / "a" / FILE).write_text(OTHER)
    assert (tmp_path / "a" / FILE).exists()


def test_what_a_crash_left_of_finished_networks_is_cleared_by_the_same_command(tmp_path):
    one = ("model.width=4", *TINY)
    in_process(with_store(tmp_path), *one)
    (network,) = planned(tmp_path, *one)
    folder = own_folder(tmp_path, network)
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text("the command was killed between the store's answer and this file's removal")
    (folder.parent / "0").mkdir()
    (folder.parent / "0" / "outcome.json").write_text("of a network that is not in the store")
    assert "1 skipped" in in_process(tmp_path, *one).stdout
    assert not folder.exists()
    assert (folder.parent / "0" / "outcome.json").exists()
