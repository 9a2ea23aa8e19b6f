"""Whose a network is: leases of the living, of the dead, and of processes that cannot be seen from here."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from initdist import clean, names, tracking
from initdist.sweeps import leases, planning, run_records, session, tracked_training
from initdist.sweeps.leases import FILE, Leases
from initdist.sweeps.workspace import Workspace
from initdist.tracking import Outcome, process
from tests.command import LONG, OTHER, TINY, by_identity, client, environment, kept, runs, start, train, wait_for
from tests.helpers import composed

ONE = ("-m", "model.width=16", "seed=0", *LONG)


def long_ago(file) -> None:
    """As if it had not been renewed since."""
    before = file.stat().st_mtime - leases.EXPIRES - 1
    os.utime(file, (before, before))


@pytest.fixture
def others(tmp_path):
    """The lease of `a` by a process of another host."""
    file = tmp_path / "a" / FILE
    file.parent.mkdir()
    file.write_text(OTHER)
    return file


def test_a_lease_of_another_host_stands_while_it_is_renewed_and_then_expires(tmp_path, others):
    ours = Leases(tmp_path)
    assert str(ours.elsewhere(["a", "b"])["a"]).startswith("host other-host, process 1, renewed 0 s ago")
    assert ours.gone() == set()
    with ours.held(["a", "b"]) as mine:
        assert mine == {"b"}
    long_ago(others)
    assert (ours.elsewhere(["a"]), ours.gone()) == ({}, {OTHER})
    with ours.held(["a", "b"]) as mine:
        assert mine == {"a", "b"}
    assert list(tmp_path.iterdir()) == [tmp_path / ".lock"]


def test_a_process_is_not_gone_while_one_of_its_leases_stands(tmp_path, others):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / FILE).write_text(OTHER)
    long_ago(others)
    assert Leases(tmp_path).gone() == set()


def test_no_clock_but_the_file_systems_is_asked(tmp_path, others, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e12)
    assert Leases(tmp_path).elsewhere(["a"])


def test_where_the_file_systems_clock_cannot_be_asked_nothing_expires(tmp_path, others, monkeypatch):
    def refused(*_, **__):
        raise OSError

    long_ago(others)
    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert Leases(tmp_path).elsewhere(["a"])


def test_a_lease_is_renewed_while_it_is_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED", 0.01)
    files = {identity: tmp_path / identity / FILE for identity in "ab"}
    with Leases(tmp_path).held("ab"):
        files["b"].write_text(OTHER)  # another took it over
        old = files["b"].stat().st_mtime - 1000
        for _ in range(2):  # a whole round of renewals at least
            for file in files.values():
                os.utime(file, (old, old))
            wait_for(lambda: files["a"].stat().st_mtime > old)
    assert files["b"].stat().st_mtime == old
    assert not files["a"].exists()


HOLD = """
import sys, time
from pathlib import Path
from initdist.sweeps.leases import Leases
from initdist.tracking import this_process
with Leases(Path(sys.argv[1])).held(sys.argv[2]) as mine:
    print(this_process(), *mine, flush=True)
    time.sleep(600)
"""


@contextmanager
def container(*arguments: object, proc: bool = True):
    """What a process prints that sees no other and is number 1: in a name space of its own, as in a container."""
    unshared = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--pid", "--fork", "--kill-child"]
    unshared += ["--mount-proc"] if proc else []
    if not sys.platform.startswith("linux") or subprocess.run([*unshared, "true"], check=False).returncode:
        pytest.skip("needs a process name space of its own (unshare --pid)")
    command = [*unshared, sys.executable, "-c", HOLD, *map(str, arguments)]
    held = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        yield held.stdout.readline().split()
    finally:
        held.send_signal(signal.SIGKILL)
        held.communicate()


@pytest.mark.parametrize("proc", [True, False], ids=["own /proc", "the /proc of another"])
def test_equal_numbers_of_processes_in_two_containers_are_two_processes(tmp_path, proc):
    with container(tmp_path, "a", proc=proc) as (one, *first):
        assert first == ["a"]
        assert one.split(":")[:2] == [process.this_process().split(":")[0], "1"]
        assert process.lives(one) is None
        with container(tmp_path, "ab", proc=proc) as (other, *second):
            assert one.split(":")[:2] == other.split(":")[:2]
            assert one != other
            assert second == ["b"]
        with Leases(tmp_path).held("ab") as mine:
            assert mine == set()  # one lives; of the other nothing is known yet
    for identity in "ab":
        long_ago(tmp_path / identity / FILE)
    with Leases(tmp_path).held("ab") as mine:
        assert mine == {"a", "b"}


def test_what_a_host_that_died_was_training_is_trained_by_the_next_command(tmp_path):
    killed = start(tmp_path, *ONE)
    wait_for(lambda: kept(tmp_path, names.CHECKPOINT_FILE))
    killed.kill()
    killed.communicate()
    (lease,) = kept(tmp_path, FILE)
    lease.write_text(OTHER)
    for run in [*runs(tmp_path), *runs(tmp_path, "sweep")]:
        client(tmp_path).set_tag(run.info.run_id, names.PROCESS, OTHER)
    early = train(tmp_path, *ONE, check=False)
    assert early.returncode == 1
    assert "1 in training by another command (host other-host, process 1, renewed " in early.stdout
    assert [run.info.status for run in runs(tmp_path)] == ["RUNNING"]
    long_ago(lease)
    assert "1 network: 1 finished" in train(tmp_path, *ONE).stdout
    assert sorted(run.info.status for run in runs(tmp_path)) == ["FINISHED", "KILLED"]
    assert [run.info.status for run in runs(tmp_path, "sweep")] == ["FINISHED"]
    assert not kept(tmp_path, "*")


def test_what_another_took_over_while_a_process_stood_still_is_left_to_it(tmp_path):
    frozen = start(tmp_path, *ONE)
    wait_for(lambda: kept(tmp_path, names.CHECKPOINT_FILE))
    (lease,) = kept(tmp_path, FILE)
    lease.write_text(OTHER)
    printed, _ = frozen.communicate(timeout=300)
    assert (frozen.returncode, by_identity(tmp_path)) == (1, {})
    assert "0 failed, 1 in training by another command (host other-host, " in printed
    assert [run.info.status for run in runs(tmp_path)] == ["FAILED"]
    assert lease.read_text() == OTHER


def test_clean_ends_and_removes_what_is_left_of_a_host_that_died(tmp_path, monkeypatch, capsys):
    store = tracking.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}", "initdist")
    base = Workspace.of(str(tmp_path / "checkpoints"), store).base
    folder = base / ("a" * 64)
    folder.mkdir(parents=True)
    (folder / FILE).write_text(OTHER)
    tags = {names.KIND: names.KIND_NETWORK, names.PROCESS: OTHER}
    run = client(tmp_path).create_run(store.experiment_id, tags=tags)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["clean", "--yes", "--days", "0"])
    clean.main()
    assert "0 runs ended as KILLED, 0 leftovers" in capsys.readouterr().out
    long_ago(folder / FILE)
    clean.main()
    assert "1 run ended as KILLED, 1 leftover" in capsys.readouterr().out
    assert not folder.exists()
    assert client(tmp_path).get_run(run.info.run_id).info.status == "KILLED"


def test_what_another_finished_since_the_look_up_is_not_trained_again(tmp_path, monkeypatch):
    """Whatever its clock says."""
    monkeypatch.chdir(tmp_path)
    networks = planning.networks(composed(*TINY, f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"))
    settings = networks[0].config.tracking
    with session.running(networks, settings, resume=True) as sweep:
        (identity,) = sweep.todo
        with tracking.Writer(sweep.store, None, None) as beside, monkeypatch.context() as behind:
            behind.setattr("time.time", lambda: 1e9)
            beside.start(identity, run_records.network(networks[0]))
            beside.finish(identity, Outcome({}, [], 0, {}))
        tracked_training.train(networks, sweep)
    assert len(runs(tmp_path)) == len(by_identity(tmp_path)) == 1


def test_a_lease_that_expires_while_a_command_runs_is_taken_and_its_run_ended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks = planning.networks(composed(*TINY, f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"))
    with session.running(networks, networks[0].config.tracking, resume=True) as sweep:
        tags = {names.KIND: names.KIND_NETWORK, names.PROCESS: OTHER}
        client(tmp_path).create_run(sweep.store.experiment_id, tags=tags)
        lease = Workspace.of("checkpoints", sweep.store).folder(networks[0].identity) / FILE
        lease.parent.mkdir(parents=True)
        lease.write_text(OTHER)
        long_ago(lease)
        tracked_training.train(networks, sweep)
    assert sorted(run.info.status for run in runs(tmp_path)) == ["FINISHED", "KILLED"]
