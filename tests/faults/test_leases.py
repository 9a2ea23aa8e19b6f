"""Whose a network is: leases of the living, of the dead, and of processes that cannot be seen from here."""

import logging
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from initdist import clean, names, tracking
from initdist.sweeps import leases, outbox, planning, run_records, session, tracked_training
from initdist.sweeps.leases import FILE, Leases
from initdist.sweeps.workspace import Workspace
from initdist.tracking import Outcome, process
from tests.command import (
    LONG,
    OTHER,
    TINY,
    by_identity,
    client,
    environment,
    in_process,
    kept,
    runs,
    start,
    train,
    wait_for,
)
from tests.helpers import composed

ONE = ("-m", "model.width=16", "seed=0", *LONG)


def long_ago(file) -> None:
    """As if it had not been renewed since."""
    before = file.stat().st_mtime - leases.EXPIRES - 1
    os.utime(file, (before, before))


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr(leases, "WAITED", 0.0)


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
    with ours.held(["a", "b"]) as (mine, _):
        assert mine == {"b"}
    long_ago(others)
    assert (ours.elsewhere(["a"]), ours.gone()) == ({}, {OTHER})
    with ours.held(["a", "b"]) as (mine, _):
        assert mine == {"a", "b"}
    assert list(tmp_path.iterdir()) == [tmp_path / ".lock"]


def test_a_process_is_not_gone_while_one_of_its_leases_stands(tmp_path, others):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / FILE).write_text(OTHER)
    long_ago(others)
    assert Leases(tmp_path).gone() == set()


def test_leases_that_a_stall_made_old_are_given_the_time_of_a_renewal(tmp_path, others, monkeypatch, capsys):
    slept = []

    def renewed(seconds):
        slept.append(seconds)
        os.utime(others)

    monkeypatch.setattr(leases, "WAITED", 35.0)
    monkeypatch.setattr("time.sleep", renewed)
    long_ago(others)
    for _ in range(2):
        assert Leases(tmp_path).gone() == set()
    assert slept == [35.0]
    assert capsys.readouterr().err.startswith("initdist: waiting 35 s for a sign of life: host other-host, process 1, ")


def test_what_is_gone_is_waited_for_once(tmp_path, others):
    long_ago(others)
    ours = Leases(tmp_path)
    ours.clear([], ours.gone())
    assert list(tmp_path.iterdir()) == [tmp_path / ".lock"]


def test_those_whose_leases_are_taken_over_are_named_unless_another_of_theirs_stands(tmp_path, others):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / FILE).write_text(OTHER)
    long_ago(others)
    with Leases(tmp_path).held("a") as taken:
        assert taken == ({"a"}, set())
    others.parent.mkdir()
    for file in (others, tmp_path / "b" / FILE):
        file.write_text(OTHER)
        long_ago(file)
    with Leases(tmp_path).held("a") as taken:
        assert taken == ({"a"}, {OTHER})


def test_each_process_is_asked_after_once(tmp_path, others, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / FILE).write_text(OTHER)
    asked = []
    monkeypatch.setattr(leases, "lives", asked.append)
    assert Leases(tmp_path).elsewhere("ab").keys() == {"a", "b"}
    assert asked == [OTHER]


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


def test_a_lease_that_cannot_be_renewed_is_written_anew_and_that_is_said_once(tmp_path, monkeypatch, capsys):
    def refused(*_):
        raise PermissionError("not yours")

    monkeypatch.setattr(leases, "RENEWED", 0.01)
    monkeypatch.setattr("os.utime", refused)
    file = tmp_path / "a" / FILE
    with Leases(tmp_path).held("a"):
        for _ in range(2):
            before = file.stat().st_ino
            wait_for(lambda before=before: file.stat().st_ino != before)
        file.unlink()
        wait_for(file.exists)
    assert not file.exists()
    assert capsys.readouterr().err == "initdist: a lease cannot be renewed, and is written anew: not yours\n"


HOLD = """
import sys, time
from pathlib import Path
from initdist.sweeps.leases import Leases
from initdist.tracking import this_process
with Leases(Path(sys.argv[1])).held(sys.argv[2]) as (mine, _):
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
        with Leases(tmp_path).held("ab") as (mine, _):
            assert mine == set()  # one lives; of the other nothing is known yet
    for identity in "ab":
        long_ago(tmp_path / identity / FILE)
    with Leases(tmp_path).held("ab") as (mine, _):
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
    assert [run.info.status for run in runs(tmp_path, "sweep")] == ["FAILED"]  # as the command's exit code
    long_ago(lease)
    assert "1 network: 1 finished" in in_process(tmp_path, *ONE).stdout
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
    assert "is left to another command: its lease expired, and is that of host other-host, " in printed
    assert outbox.find(lease.parent)  # should that one break off, the next command writes it


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


def test_what_another_has_taken_over_and_finished_is_not_kept(tmp_path, others, caplog):
    store = tracking.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}", "initdist")
    with caplog.at_level(logging.WARNING), tracking.Writer(store, None, None) as writer:
        for key in ("b", "a"):
            writer.start(key, tracking.NetworkFacts("a", "a", {}, {}))
        writer.finish("b", Outcome({}, [], 0, {}))
        wait_for(lambda: tracking.finished(store))
        tracked_training._hand_over("a", Outcome({}, [], 0, {}), Workspace(tmp_path), writer, 0.0)
    assert "network a is left to another command" in caplog.text
    assert sorted(run.info.status for run in runs(tmp_path)) == ["FAILED", "FINISHED"]
    assert list(others.parent.iterdir()) == [others]


def test_a_folder_that_another_removed_fails_its_network_and_no_other(tmp_path, monkeypatch):
    outbox.forget(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    networks = [one for k in range(2) for one in planning.networks(composed(*TINY, uri, f"seed={k}"))]
    keep = outbox.keep

    def removed(folder, outcome):
        if folder.name == networks[0].identity:
            raise FileNotFoundError(folder)
        keep(folder, outcome)

    monkeypatch.setattr(outbox, "keep", removed)
    with pytest.raises(SystemExit), session.running(networks, networks[0].config.tracking, resume=True) as sweep:
        tracked_training.train(networks, sweep)
    assert by_identity(tmp_path).keys() == {networks[1].identity}
    assert sorted(run.info.status for run in runs(tmp_path)) == ["FAILED", "FINISHED"]


def test_a_command_that_is_stopped_looks_nothing_up_that_it_left(tmp_path, monkeypatch):
    networks = planning.networks(composed(*TINY))
    store = tracking.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}", "initdist")
    sweep = session.Sweep("s", store, "r", frozenset({networks[0].identity}), 1, True, frozenset())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(tracking, "finished_among")
    counts, *_ = session._count(networks, sweep, complete=False)
    assert (counts.untrained, counts.total) == (1, 1)
