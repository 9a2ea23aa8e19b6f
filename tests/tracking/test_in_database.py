"""What is written into a database's tables directly, held against what MLflow's client writes."""

import contextlib
import math
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from mlflow.exceptions import MlflowException

from initdist import names, tracking
from initdist.paths import sqlite_file
from initdist.tracking.in_database import COLUMNS, InDatabase
from initdist.tracking.records import Point, Run
from initdist.tracking.store import client
from initdist.tracking.through_client import ThroughClient

NETWORK = tracking.NetworkFacts(
    identity="a" * 64,
    name="mlp w8 n96 p0 s0",
    params={"model.width": 8, "optimizer.lr": 0.1, "stop.train_loss": 1e-05, "model.init": None},
    tags={names.CLASSES: "10"},
    datasets=[
        tracking.DatasetInfo("digits-train", "digits/1", "sklearn", "training"),
        tracking.DatasetInfo("digits-test", "digits/1", "sklearn", "test"),
        tracking.DatasetInfo("digits-train", "digits/1", "sklearn", "once more"),
    ],
)
TAGS = {names.KIND: names.KIND_NETWORK, names.IDENTITY: NETWORK.identity, **NETWORK.tags}
POINTS = [
    Point("distance_from_init", 0.0, 5, 0),
    Point("distance_from_init", 1.5, 5, 3),
    Point("distance_from_init", 1.25, 5, 3),  # another value at the last step: the largest is the latest
    Point("distance_from_init", 1.25, 5, 3),  # and one twice
    Point("measure/margin/inverse", math.inf, 5, 3),
    Point("measure/other", -math.inf, 5, 3),
    Point("layer 1: a-b.c", 1e-300, 5, 3),
]
ENDED = {names.STOP_REASON: names.STOP_THRESHOLD, names.CLASSES: "11"}


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def uri(request, tmp_path_factory):
    """Each kind of database that tests can have."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres")
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return tracking.prepare(f"sqlite:///{tmp_path_factory.mktemp('fresh') / 'mlflow.db'}", "x")


@pytest.fixture
def sqlite(fresh, tmp_path):
    """A file of the test's own."""
    file = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(sqlite_file(fresh.uri))) as database:
        database.execute("VACUUM INTO ?", [str(file)])
    return replace(fresh, uri=f"sqlite:///{file}")


def ways_of(store):
    slow = ThroughClient(store)
    quick = InDatabase.of(store, slow)
    assert quick is not None
    return quick, slow


@pytest.fixture
def ways(store):
    """The direct way and that by the client, which must write the same."""
    return ways_of(store)


@pytest.fixture
def never(monkeypatch):
    """The direct way alone: the client it would turn to begins and ends nothing."""
    monkeypatch.setattr(ThroughClient, "begin", lambda *_: pytest.fail("begun by the client"))
    monkeypatch.setattr(ThroughClient, "end", lambda *_: pytest.fail("ended by the client"))


@contextlib.contextmanager
def connected(store):
    """A connection of the test's own, each statement for itself."""
    engine = sa.create_engine(store.uri, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def rows(store, run_id):
    """All that a store's tables hold of a run, but for its own id, those of its datasets, and its times."""
    with connected(store) as connection:

        def read(sql):
            return sorted((dict(row) for row in connection.execute(sa.text(sql), {"run": run_id}).mappings()), key=repr)

        def stripped(row):
            return {key: "-" if value == run_id else value for key, value in row.items()}

        # every column there is: also one that only the client writes to
        (info,) = map(stripped, read("SELECT * FROM runs WHERE run_uuid = :run"))
        info["artifact_uri"] = info["artifact_uri"].replace(run_id, "-")
        info["start_time"] = info["start_time"] > 10**12
        tables = {
            table: list(map(stripped, read(f"SELECT * FROM {table} WHERE run_uuid = :run")))
            for table in ("params", "tags", "metrics", "latest_metrics")
        }
        inputs = read(
            "SELECT i.source_type, i.destination_type, i.step, t.name, t.value, d.experiment_id, d.name AS of, "
            "d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile, "
            "length(i.input_uuid) AS il, length(d.dataset_uuid) AS dl "
            "FROM inputs i JOIN input_tags t USING (input_uuid) JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.destination_id = :run"
        )
        experiment = connection.execute(
            sa.text("SELECT * FROM experiments WHERE experiment_id = :id"), {"id": int(store.experiment_id)}
        )
        return {"info": info, "inputs": inputs, "experiment": dict(experiment.mappings().one()), **tables}


def written(way, points=POINTS, tags=ENDED, network=NETWORK):
    run = Run()
    way.begin(run, network, TAGS)
    way.end(run, "FINISHED", 2_000_000_000_000, points, tags)
    return run


def test_every_row_is_the_clients(store, ways):
    quick, slow = (rows(store, written(way).id) for way in ways)
    assert quick == slow
    assert {table: len(quick[table]) for table in ("inputs", "params", "tags", "metrics", "latest_metrics")} == {
        "inputs": 2, "params": 4, "tags": 5, "metrics": 6, "latest_metrics": 4
    }  # fmt: skip


@pytest.mark.usefixtures("never")
def test_it_is_written_without_the_client(store, ways):
    run = written(ways[0])
    assert client(store.uri).get_run(run.id).info.status == "FINISHED"


@pytest.mark.parametrize("model", COLUMNS, ids=lambda model: model.__tablename__)
def test_a_column_that_a_later_mlflow_adds_is_not_left_empty(sqlite, monkeypatch, model):
    """Its client writes then."""
    monkeypatch.setitem(COLUMNS, model, COLUMNS[model][1:])
    assert InDatabase.of(sqlite, ThroughClient(sqlite)) is None


def test_a_store_that_cannot_be_read_and_a_server_are_the_clients(sqlite, tmp_path):
    slow = ThroughClient(sqlite)
    folder = tmp_path / "empty"
    folder.mkdir()
    assert InDatabase.of(replace(sqlite, uri=f"sqlite:///{folder / 'none.db'}"), slow) is None
    assert not list(folder.iterdir())
    (folder / "text.db").write_text("no database" * 100)
    assert InDatabase.of(replace(sqlite, uri=f"sqlite:///{folder / 'text.db'}"), slow) is None
    assert InDatabase.of(replace(sqlite, uri="http://127.0.0.1:9"), slow) is None


@pytest.mark.parametrize(
    "network",
    [
        replace(NETWORK, params={"a//b": 1}),
        replace(NETWORK, params={"../b": 1}),
        replace(NETWORK, params={"what?": 1}),
        replace(NETWORK, datasets=[tracking.DatasetInfo("d", "x" * 37, "s", "training")]),
    ],
    ids=["path", "parent", "character", "digest"],
)
def test_what_mlflow_refuses_is_refused(ways, network):
    for way in ways:
        with pytest.raises(MlflowException):
            way.begin(Run(), network, TAGS)


@pytest.mark.parametrize(("key", "value"), [("what?", "x"), ("/a", "x"), ("k" * 251, "x")])
def test_tags_and_metrics_that_mlflow_refuses_are_refused(ways, key, value):
    for way in ways:
        run = Run()
        way.begin(run, NETWORK, TAGS)
        with pytest.raises(MlflowException):
            way.end(run, "FINISHED", 9, POINTS, {key: value})
        with pytest.raises(MlflowException):
            way.end(run, "FINISHED", 9, [Point(key, 1.0, 1, 1)], {})


def test_what_mlflow_cuts_is_cut(store, ways):
    quick, slow = (rows(store, written(way, tags={"long": "x" * 8001}).id) for way in ways)
    assert quick == slow
    assert max(len(one["value"]) for one in quick["tags"]) == 8000
    long = replace(NETWORK, params={"long": "x" * 6001})
    quick, slow = (rows(store, written(way, network=long).id) for way in ways)
    assert quick == slow
    assert [len(one["value"]) for one in quick["params"]] == [6000]


def test_a_name_that_is_longer_than_its_column(store, ways):
    """SQLite takes it, PostgreSQL does not."""
    long = replace(NETWORK, name="n" * 251)
    if sqlite_file(store.uri):
        quick, slow = (rows(store, written(way, network=long).id) for way in ways)
        assert quick == slow
        return
    for way in ways:
        with pytest.raises(MlflowException, match="too long"):
            way.begin(Run(), long, TAGS)


def test_a_value_that_is_none_and_a_name_that_is_set_are_written_as_by_the_client(store, ways):
    points, tags = [*POINTS, Point("measure/none", math.nan, 5, 3)], {**ENDED, "mlflow.runName": "another"}
    quick, slow = (rows(store, written(way, points=points, tags=tags).id) for way in ways)
    assert quick == slow
    for way in ways:
        with pytest.raises(MlflowException, match="different values"):
            way.begin(Run(), NETWORK, {**TAGS, "mlflow.runName": "another"})


def test_a_run_deleted_meanwhile_is_refused_and_keeps_nothing(store, ways):
    for way in ways:
        run = Run()
        way.begin(run, NETWORK, TAGS)
        client(store.uri).delete_run(run.id)
        with pytest.raises(MlflowException, match="must be in the 'active' state"):
            way.end(run, "FINISHED", 9, POINTS, ENDED)
        assert rows(store, run.id)["metrics"] == []


def test_an_experiment_deleted_meanwhile_is_refused(store, ways):
    client(store.uri).delete_experiment(store.experiment_id)
    for way in ways:
        with pytest.raises(MlflowException, match="must be in the 'active' state"):
            way.begin(Run(), NETWORK, TAGS)


def test_what_another_program_wrote_meanwhile_stays(store, ways):
    found = []
    for way in ways:
        run = Run()
        way.begin(run, NETWORK, TAGS)
        client(store.uri).log_metric(run.id, "distance_from_init", 9.0, timestamp=6, step=3)  # later than ours
        client(store.uri).log_metric(run.id, "layer 1: a-b.c", 9.0, timestamp=4, step=3)  # earlier
        client(store.uri).set_tag(run.id, names.STOP_REASON, "-")
        way.end(run, "KILLED", 2_000_000_000_000, POINTS, ENDED)
        found.append(rows(store, run.id))
    assert found[0] == found[1]
    latest = {row["key"]: row["value"] for row in found[0]["latest_metrics"]}
    assert (latest["distance_from_init"], latest["layer 1: a-b.c"]) == (9.0, 1e-300)


def test_written_again_it_is_the_same(store, ways):
    run = written(ways[0])
    before = rows(store, run.id)
    ways[0].end(run, "FINISHED", 2_000_000_000_000, POINTS, ENDED)
    assert rows(store, run.id) == before


def test_a_failure_in_the_middle_leaves_nothing_and_can_be_repeated(store, ways):
    quick, slow = ways
    run = Run()
    with connected(store) as connection:
        for table, write in (
            ("input_tags", lambda: quick.begin(run, NETWORK, TAGS)),
            ("latest_metrics", lambda: quick.end(run, "FINISHED", 2_000_000_000_000, POINTS, ENDED)),
        ):
            before = rows(store, run.id) if run.id else None
            connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO away"))
            try:
                with pytest.raises(MlflowException, match=table):
                    write()
            finally:
                connection.execute(sa.text(f"ALTER TABLE away RENAME TO {table}"))
            if before is None:
                assert not run.id
                assert not client(store.uri).search_runs([store.experiment_id])
            else:
                assert rows(store, run.id) == before
                assert (before["info"]["status"], before["metrics"]) == ("RUNNING", [])
            write()
    assert rows(store, run.id) == rows(store, written(slow).id)


def test_what_other_processes_insert_at_the_same_time_is_no_error(store, ways):
    """All begin with the same datasets, which are not in the store yet."""
    runs, start = [Run() for _ in range(8)], threading.Barrier(8)

    def begin(run):
        start.wait()
        ways[0].begin(run, NETWORK, TAGS)

    threads = [threading.Thread(target=begin, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(rows(store, run.id) == rows(store, runs[0].id) for run in runs)
    assert len(rows(store, runs[0].id)["inputs"]) == 2


def keys(rows):
    return {row["key"] for row in rows}


@pytest.mark.parametrize("count", [1, 988, 990, 1000, 1001, 1995, 2000])
def test_the_client_adds_tags_only_after_all_values(sqlite, count):
    """Also where MLflow's client would divide a call, and one of its parts fails."""
    slow = ThroughClient(sqlite)
    run = Run()
    slow.begin(run, NETWORK, TAGS)
    points = [Point(f"m{k}", float(k), 5, 3) for k in range(count)]
    tags = {f"after{k}": "x" for k in range(12)}
    with contextlib.closing(sqlite3.connect(sqlite_file(sqlite.uri))) as database:
        database.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON metrics WHEN NEW.key = 'm{count - 1}' "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(MlflowException, match="full"):
            slow.add(run.id, points, tags)
        database.execute("DROP TRIGGER full")
    assert not tags.keys() & keys(rows(sqlite, run.id)["tags"])
    slow.add(run.id, points, tags)
    found = rows(sqlite, run.id)
    assert len(found["metrics"]) == count
    assert tags.keys() <= keys(found["tags"])


def test_it_waits_for_another_writer(sqlite):
    quick, _ = ways_of(sqlite)
    with contextlib.closing(sqlite3.connect(sqlite_file(sqlite.uri), isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        run = Run()
        writing = threading.Thread(target=quick.begin, args=(run, NETWORK, TAGS))
        writing.start()
        time.sleep(0.5)
        assert writing.is_alive()
        database.execute("COMMIT")
        writing.join(20)
    assert client(sqlite.uri).get_run(run.id).info.status == "RUNNING"


def test_a_file_that_is_gone_is_not_made_anew(sqlite, tmp_path):
    quick, _ = ways_of(sqlite)
    for file in tmp_path.glob("mlflow.db*"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"mlflow\.db"):
        quick.begin(Run(), NETWORK, TAGS)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_file_that_was_put_back_is_written_to(sqlite, tmp_path):
    """And not the one that was there before, which an open connection still holds."""
    quick, _ = ways_of(sqlite)
    quick.begin(Run(), NETWORK, TAGS)
    kept = tmp_path / "kept.db"
    with contextlib.closing(sqlite3.connect(sqlite_file(sqlite.uri))) as database:
        database.execute("VACUUM INTO ?", [str(kept)])
    for file in tmp_path.glob("mlflow.db*"):
        file.unlink()
    kept.rename(tmp_path / "mlflow.db")
    run = written(quick)
    with contextlib.closing(sqlite3.connect(sqlite_file(sqlite.uri))) as database:
        assert database.execute("SELECT status FROM runs WHERE run_uuid = ?", [run.id]).fetchall() == [("FINISHED",)]


def test_artifacts_in_a_place_with_odd_signs(uri):
    """A question mark in a URI of a folder: what comes after it is no path, and MLflow knows what to do with it."""
    tracking.prepare(uri, "x")
    found = []
    for name, location in (("odd", "s3://bucket/folder?a=b"), ("slash", "s3://bucket/folder/")):
        experiment = client(uri).create_experiment(name, artifact_location=location)
        own = tracking.Store(uri, name, experiment)
        slow = ThroughClient(own)
        for way in (InDatabase.of(own, slow), slow):
            run = Run()
            way.begin(run, NETWORK, TAGS)
            found.append(run.artifact_uri.replace(run.id, "-"))
    assert found == ["s3://bucket/folder/-/artifacts?a=b"] * 2 + ["s3://bucket/folder/-/artifacts"] * 2
