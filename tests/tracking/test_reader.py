"""One reader of stores: what it reads from tables is what MLflow's client says, in each kind of database."""

from __future__ import annotations

import math

import pytest

from initdist import names, tracking
from initdist.tracking import lookup, reader, tables
from initdist.tracking.records import Outcome
from initdist.tracking.store import client

METRICS = {"distance_from_init": 1.25, "measure/margin/inverse": math.inf}
HISTORY = [(0, {"distance_from_init": 0.0}), (3, {"distance_from_init": 1.0})]


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def store(request, tmp_path_factory):
    """Three networks, one of them not finished, one run deleted, and one with a value that is none."""
    if request.param == "postgres":
        uri = request.getfixturevalue("postgres")
    else:
        uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    found = tracking.prepare(uri, "read")
    with tracking.Writer(found, None, "swept") as writer:
        for k in range(4):
            facts = tracking.NetworkFacts(f"{k}" * 64, f"network {k}", {"model.width": k, "model.init": None}, {})
            writer.start(k, facts)
            if k:
                tags = {names.STOP_REASON: names.STOP_THRESHOLD, names.MEASURES: '{"a": "1"}'}
                writer.finish(k, Outcome(METRICS, HISTORY, 7, tags))
        writer.fail(0, "it broke")
    client(uri).log_metric(writer.runs[1].id, "measure/none", math.nan, timestamp=5, step=3)
    client(uri).delete_run(writer.runs[3].id)
    client(uri).delete_experiment(client(uri).create_experiment("deleted"))
    return found


@pytest.fixture
def readers(store):
    """The way by the tables, and that by the client."""
    with tables.opened(store.uri, reader.COLUMNS) as select:
        yield reader.FromTables(select), reader.FromClient(client(store.uri))


def comparable(rows):
    """None and NaN are both no value; infinity is the largest float in the tables."""
    metrics = [
        (run, key, repr(None if value is None or math.isnan(value) else value)) for run, key, value in rows.metrics
    ]
    return rows.runs, sorted(rows.params), sorted(metrics), sorted(rows.tags)


def test_the_fast_reader_is_chosen(store):
    with tracking.reading(store.uri) as chosen:
        assert isinstance(chosen, reader.FromTables)


def test_rows_are_those_of_the_client(store, readers):
    tags = {names.KIND, names.IDENTITY, names.STOP_REASON}
    told = []
    quick, slow = (comparable(one.rows(store.experiment_id, tags, told.append)) for one in readers)
    assert quick == slow
    runs, params, metrics, found = quick
    assert [run.status for run in runs] == ["FAILED", "FINISHED", "FINISHED"]
    assert (len(params), len(metrics), len(found)) == (6, 5, 8)


def test_histories_are_those_of_the_client(store, readers):
    ids = [run.run_id for run in readers[0].rows(store.experiment_id, (), print).runs]
    keys = ["distance_from_init", "measure/none"]

    def points(one):
        return sorted((run, key, step, str(value)) for run, key, step, value in one.histories(ids, keys))

    quick, slow = (points(one) for one in readers)
    assert [point[:3] for point in quick] == [point[:3] for point in slow]
    assert [point for point in quick if point[1] == keys[0]] == [point for point in slow if point[1] == keys[0]]
    assert len(quick) == 7


@pytest.mark.parametrize("name", ["read", "deleted", "nowhere"])
def test_experiments_are_those_of_the_client(readers, name):
    quick, slow = (one.experiment(name) for one in readers)
    assert (quick.id, quick.was_deleted, sorted(quick.others)) == (slow.id, slow.was_deleted, sorted(slow.others))
    assert (quick.id is not None, quick.was_deleted) == (name == "read", name == "deleted")


def test_what_has_finished_is_found_alike(store, monkeypatch):
    everything = (
        lambda: tracking.finished(store),
        lambda: tracking.finished(store, since_ms=2**42),
        lambda: tracking.finished_among(store, ["1" * 64, "3" * 64, "nobody"]),
    )
    quick = [ask() for ask in everything]
    monkeypatch.setattr(lookup, "_in_tables", lambda *_: None)
    assert quick == [ask() for ask in everything]
    assert [sorted(found) for found in quick] == [["1" * 64, "2" * 64], [], ["1" * 64]]


def test_other_tables_are_read_through_the_client(store, monkeypatch):
    monkeypatch.setitem(reader.COLUMNS, "runs", {"a column of another version"})
    with tracking.reading(store.uri) as chosen:
        assert isinstance(chosen, reader.FromClient)


def test_reading_writes_nothing(store):
    with pytest.raises(tracking.TrackingError, match=r"read-?only"), tables.opened(store.uri, {}) as select:
        select("DELETE FROM tags", {})
