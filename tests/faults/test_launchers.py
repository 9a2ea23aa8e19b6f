"""Jobs side by side on one machine, and jobs that a cluster warns, ends and starts again."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from initdist import cores, names, tracking
from initdist.cli import launchers
from initdist.sweeps import planning, session, tracked_training
from initdist.sweeps.leases import FILE
from initdist.sweeps.workspace import Workspace
from tests.command import LONG, OTHER, TINY, by_identity, kept, runs, start, wait_for, with_store
from tests.helpers import composed

GRID = ("-m", "model.width=4,8", "seed=0,1", *LONG, "stop.max_epochs=600", "checkpoint.every_minutes=1000")


def _parents() -> dict[int, int]:
    """Process -> its parent, of all that run."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
    return found


def training(command: int) -> set[int]:
    """The training processes of a command and of its jobs: what their fork servers have started."""
    parents = _parents()
    servers, below = set(), {command}
    while new := {one for one, parent in parents.items() if parent in below} - below:
        below |= new
    for one in below:
        try:
            text = Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            continue
        if b"multiprocessing.forkserver" in text:
            servers.add(one)
    return {one for one in servers if parents.get(one) in servers}


def test_jobs_share_the_cores_and_one_that_is_warned_goes_on_where_it_was(tmp_path):
    """The warning is SLURM's SIGUSR2, at which submitit starts a job again."""
    process = start(with_store(tmp_path), *GRID, "hydra/launcher=submitit_local")
    most = 0

    def running() -> list[int]:
        """The jobs with networks that train."""
        nonlocal most
        time.sleep(0.3)
        most = max(most, len(training(process.pid)))
        assert process.poll() is None, process.communicate()
        found = runs(tmp_path) if kept(tmp_path, FILE) else []
        return [int(one.data.tags[names.PROCESS].split(":")[-2]) for one in found if one.info.status == "RUNNING"]

    wait_for(running)
    os.kill(running()[0], signal.SIGUSR2)
    wait_for(lambda: kept(tmp_path, names.CHECKPOINT_FILE) or running() is None)
    while process.poll() is None:
        most = max(most, len(training(process.pid)))
        time.sleep(0.2)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert "4 networks: 4 finished" in printed
    assert 1 <= most <= cores.usable()
    statuses = [one.info.status for one in runs(tmp_path)]
    assert len(by_identity(tmp_path)) == statuses.count("FINISHED") == 4
    assert {*statuses} == {"FINISHED", "KILLED"}
    assert not list((tmp_path / "checkpoints").glob("*/*/*"))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A sweep of one network with resume=false, as a job of its command in another process has it; and the network."""
    monkeypatch.chdir(tmp_path)
    networks = planning.networks(composed(*TINY, f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"))
    settings = networks[0].config.tracking
    try:
        with session.running(networks, settings, resume=False, directory=tmp_path / "sweep") as sweep:
            yield replace(sweep, opener=OTHER), networks[0]
    except SystemExit as end:  # as the end of a fixture it would end pytest's own work with it
        pytest.fail(f"the sweep ended with {end.code}")


def test_a_job_that_is_started_again_takes_over_what_its_earlier_process_had(opened, tmp_path):
    """On another host too, whose lease still stands; and without beginning anew, though the command was to."""
    sweep, network = opened
    workspace = Workspace.of("checkpoints", sweep.store)
    lease = workspace.folder(network.identity) / FILE
    lease.parent.mkdir(parents=True)
    lease.write_text(OTHER)
    tracked_training.train([network], sweep, 3)
    assert by_identity(tmp_path) == {}  # in training by another command, as far as one can see
    (sweep.processes.folder / "3").write_text(OTHER)
    workspace.keep(network.identity, tracking.Outcome({"epochs": 77.0}, [], 0, {}), 0.0)
    tracked_training.train([network], sweep, 3)
    assert {one.data.metrics["epochs"] for one in by_identity(tmp_path).values()} == {77.0}
    assert sweep.processes.earlier(3) == [OTHER, tracking.this_process()]
    tracked_training.train([network], sweep, 3)
    assert len(runs(tmp_path)) == 1


def test_a_command_knows_its_own_jobs(opened, tmp_path):
    sweep, network = opened
    lease = Workspace.of("checkpoints", sweep.store).folder(network.identity) / FILE
    lease.parent.mkdir(parents=True)
    lease.write_text(OTHER)
    counts, _, whose, _ = session._count([network], sweep, complete=False)
    assert "1 in training by another command (host other-host" in counts.sentence(1.0, "", whose)
    sweep.processes.folder.mkdir(parents=True)
    (sweep.processes.folder / "0").write_text(OTHER)
    counts, _, whose, _ = session._count([network], sweep, complete=False)
    said = counts.sentence(1.0, "", whose)
    assert "0 failed, 1 still in training by jobs of this command (host other-host, process 1, " in said
    lease.unlink()
    tracked_training.train([network], sweep, 0)


def test_what_submitit_does_on_slurm_unless_it_is_told_otherwise_is_said(tmp_path, monkeypatch):
    sacct = tmp_path / "sacct"
    sacct.write_text("#!/bin/sh\nexit 1\n")
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    target = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher", "timeout_min": 60}
    ends, waits = launchers.notes(OmegaConf.create(target | {"max_num_timeout": 0}))
    assert "has not ended after 60 minutes (hydra.launcher.timeout_min) is not started again" in ends
    assert "does not see that a job was cancelled (scancel)" in waits
    sacct.write_text("#!/bin/sh\n")
    assert list(launchers.notes(OmegaConf.create(target | {"max_num_timeout": 3}))) == []
    assert list(launchers.notes(OmegaConf.create({"_target_": "hydra._internal.BasicLauncher"}))) == []
