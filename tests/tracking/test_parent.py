"""A sweep has one parent run, however many commands open it."""

from __future__ import annotations

import threading

import pytest

from initdist import names, tracking
from initdist.tracking import artifacts, parent, runs
from initdist.tracking.store import client
from tests.command import with_store

NETWORKS = [{"identity": "a", "name": "one"}]
DEAD = tracking.this_process().rpartition("-")[0] + "-1"  # this process, begun at another time


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{with_store(tmp_path_factory.mktemp('store')) / 'mlflow.db'}"


def opened(store):
    return tracking.open_sweep(store, "swept", "a sweep", NETWORKS)


def candidate(store, owner):
    tags = {**runs.run_tags(names.KIND_SWEEP, "swept"), parent.CANDIDATE: "true", names.PROCESS: owner}
    return client(store.uri).create_run(store.experiment_id, tags=tags).info.run_id


def test_commands_that_open_a_sweep_at_once_have_one_parent(store):
    found, start = [], threading.Barrier(6)

    def one():
        start.wait()
        found.append(opened(store))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    (only,) = runs.parents(store, "swept")
    assert {*found} == {only.info.run_id}
    assert parent.CANDIDATE not in only.data.tags
    assert tracking.sweep_identities(store, "swept") == {"a"}


def test_the_candidate_of_a_command_that_died_is_no_parent(store):
    dead = candidate(store, DEAD)
    assert tracking.lives(DEAD) is False
    assert opened(store) != dead
    assert len(list(runs.parents(store, "swept"))) == 1


def test_the_candidate_of_a_command_that_cannot_be_seen_is_waited_for(store, monkeypatch):
    monkeypatch.setattr(parent, "SETTLED", 0.3)
    unseen = candidate(store, "other-host:1:kernel-2")
    assert opened(store) != unseen
    assert len(list(runs.parents(store, "swept"))) == 1


class Away:
    """A store of files of a kind that has errors of its own."""

    def __init__(self, times):
        self.left = times

    def log_artifact(self, file):
        if self.left:
            self.left -= 1
            raise RuntimeError("no bucket\nof this name")


def test_files_that_cannot_be_written_are_named_before_anything_is_trained(store, monkeypatch):
    registry = "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository"
    monkeypatch.setattr(registry, lambda *_, **__: Away(1))
    with pytest.raises(tracking.TrackingError, match=r"tracking\.experiment must keep its files .* no bucket of this"):
        opened(store)
    assert not list(runs.parents(store, "swept"))


def test_files_that_cannot_be_written_for_a_moment_are_waited_for(store, monkeypatch, tmp_path, capsys):
    away = Away(2)
    registry = "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository"
    monkeypatch.setattr(registry, lambda *_, **__: away)
    outcome = tracking.Outcome({"a": 1.0}, [], 1, {}, [tmp_path / "weights"])
    with tracking.Writer(store, None, None, patience=30) as writer:
        writer.start(0, tracking.NetworkFacts("a" * 64, "n", {}, {}))
        writer.finish(0, outcome)
    assert "trying again" in capsys.readouterr().err
    assert client(store.uri).get_run(writer.runs[0].id).info.status == "FINISHED"


def test_what_a_place_of_files_needs_is_named(uri, monkeypatch):
    monkeypatch.setitem(artifacts._NEEDED, "s3", ("no_such_package.client", "'initdist[s3]'"))
    client(uri).create_experiment("in a bucket", artifact_location="s3://bucket/folder")
    with pytest.raises(tracking.TrackingError, match=r"needs no_such_package.client, .*pip install 'initdist\[s3\]'"):
        tracking.prepare(uri, "in a bucket")
