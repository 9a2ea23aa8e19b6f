"""What is written into SQLite's tables directly, held against what MLflow's client writes."""

import contextlib
import math
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from mlflow.exceptions import MlflowException

from initdist import names, tracking
from initdist.tracking.in_sqlite import COLUMNS, InSqlite
from initdist.tracking.records import Point, Run
from initdist.tracking.sqlite import BUSY_SECONDS
from initdist.tracking.store import client, sqlite_path
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def store(folder, request):
    return tracking.prepare(f"sqlite:///{folder / 'mlflow.db'}", request.node.name)


@pytest.fixture
def ways(store):
    """The direct way and that by the client, which must write the same."""
    slow = ThroughClient(store)
    quick = InSqlite.of(store, slow)
    assert quick is not None
    return quick, slow


def rows(store, run_id):
    """All that a store's tables hold of a run, but for its own id, those of its datasets, and its times."""
    with contextlib.closing(sqlite3.connect(sqlite_path(store.uri))) as database:

        def read(sql):
            return sorted(database.execute(sql, (run_id,)).fetchall(), key=repr)

        # every column there is: also one that only the client writes to
        info = [tuple(row)[1:] for row in read("SELECT * FROM runs WHERE run_uuid = ?")]
        stripped = [
            tuple(v.replace(run_id, "-") if isinstance(v, str) else v and v > 10**12 if isinstance(v, int) else v
                  for v in row)
            for row in info
        ]  # fmt: skip
        tables = {
            table: [
                tuple(value for value in row if value != run_id)
                for row in read(f"SELECT * FROM {table} WHERE run_uuid = ?")
            ]
            for table in ("params", "tags", "metrics", "latest_metrics")
        }
        inputs = read(
            "SELECT i.source_type, i.destination_type, i.step, t.name, t.value, d.experiment_id, d.name, d.digest, "
            "d.dataset_source_type, d.dataset_source, d.dataset_schema, d.dataset_profile, "
            "length(i.input_uuid), length(d.dataset_uuid) "
            "FROM inputs i JOIN input_tags t USING (input_uuid) JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.destination_id = ?"
        )
    return {"info": stripped, "inputs": inputs, **tables}


def written(way, points=POINTS, tags=ENDED, network=NETWORK):
    run = Run()
    way.begin(run, network, TAGS)
    way.end(run, "FINISHED", 2_000_000_000_000, points, tags)
    return run


def test_every_row_is_the_clients(store, ways):
    quick, slow = (rows(store, written(way).id) for way in ways)
    assert quick == slow
    assert {table: len(found) for table, found in quick.items()} == {
        "info": 1, "inputs": 2, "params": 4, "tags": 5, "metrics": 6, "latest_metrics": 4
    }  # fmt: skip


def test_the_columns_are_all_there_are(store):
    """A column that a later MLflow adds is not left empty by us: its client writes then."""
    assert InSqlite.of(store, ThroughClient(store)) is not None
    path = sqlite_path(store.uri)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE experiments RENAME COLUMN artifact_location TO elsewhere")
        assert InSqlite.of(store, ThroughClient(store)) is None
        database.execute("ALTER TABLE experiments RENAME COLUMN elsewhere TO artifact_location")
    for table in COLUMNS:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(f"ALTER TABLE {table} ADD COLUMN of_tomorrow TEXT")
            assert InSqlite.of(store, ThroughClient(store)) is None
            database.execute(f"ALTER TABLE {table} DROP COLUMN of_tomorrow")
    assert InSqlite.of(store, ThroughClient(store)) is not None


def test_a_store_that_cannot_be_read_and_a_server_are_the_clients(store, tmp_path):
    slow = ThroughClient(store)
    assert InSqlite.of(replace(store, uri=f"sqlite:///{tmp_path / 'none.db'}"), slow) is None
    assert not list(tmp_path.iterdir())
    (tmp_path / "text.db").write_text("no database" * 100)
    assert InSqlite.of(replace(store, uri=f"sqlite:///{tmp_path / 'text.db'}"), slow) is None
    assert InSqlite.of(replace(store, uri="http://127.0.0.1:9"), slow) is None


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
    long = replace(NETWORK, name="n" * 251)
    quick, slow = (rows(store, written(way, network=long).id) for way in ways)
    assert quick == slow
    quick, slow = (rows(store, written(way, tags={"long": "x" * 8001}).id) for way in ways)
    assert quick == slow
    assert max(len(value) for _, value in quick["tags"]) == 8000
    long = replace(NETWORK, params={"long": "x" * 6001})
    quick, slow = (rows(store, written(way, network=long).id) for way in ways)
    assert quick == slow
    assert [len(value) for _, value in quick["params"]] == [6000]


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
    latest = {row[0]: row[1] for row in found[0]["latest_metrics"]}
    assert (latest["distance_from_init"], latest["layer 1: a-b.c"]) == (9.0, 1e-300)


def test_written_again_it_is_the_same(store, ways):
    run = written(ways[0])
    before = rows(store, run.id)
    ways[0].end(run, "FINISHED", 2_000_000_000_000, POINTS, ENDED)
    assert rows(store, run.id) == before


def test_a_failure_in_the_middle_leaves_nothing_and_can_be_repeated(store, ways):
    quick, _ = ways
    path = sqlite_path(store.uri)
    run = Run()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON input_tags BEGIN SELECT RAISE(ABORT, 'full'); END")
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            quick.begin(run, NETWORK, TAGS)
        database.execute("DROP TRIGGER full")
        assert not run.id
        assert not client(store.uri).search_runs([store.experiment_id])
        quick.begin(run, NETWORK, TAGS)
        database.execute("CREATE TRIGGER full BEFORE INSERT ON latest_metrics BEGIN SELECT RAISE(ABORT, 'full'); END")
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            quick.end(run, "FINISHED", 9, POINTS, ENDED)
        database.execute("DROP TRIGGER full")
    assert client(store.uri).get_run(run.id).info.status == "RUNNING"
    assert rows(store, run.id)["metrics"] == []
    quick.end(run, "FINISHED", 2_000_000_000_000, POINTS, ENDED)
    assert rows(store, run.id) == rows(store, written(ways[1]).id)


@pytest.mark.parametrize("count", [1, 988, 990, 1000, 1001, 1995, 2000])
def test_the_client_adds_tags_only_after_all_values(store, ways, count):
    """Also where MLflow's client would divide a call, and one of its parts fails."""
    _, slow = ways
    run = Run()
    slow.begin(run, NETWORK, TAGS)
    points = [Point(f"m{k}", float(k), 5, 3) for k in range(count)]
    tags = {f"after{k}": "x" for k in range(12)}
    with contextlib.closing(sqlite3.connect(sqlite_path(store.uri))) as database:
        database.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON metrics WHEN NEW.key = 'm{count - 1}' "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(MlflowException, match="full"):
            slow.add(run.id, points, tags)
        database.execute("DROP TRIGGER full")
    assert not tags.keys() & dict(rows(store, run.id)["tags"]).keys()
    slow.add(run.id, points, tags)
    found = rows(store, run.id)
    assert len(found["metrics"]) == count
    assert tags.keys() <= dict(found["tags"]).keys()


def test_it_waits_for_another_writer(store, ways):
    with contextlib.closing(sqlite3.connect(sqlite_path(store.uri), isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        run = Run()
        writing = threading.Thread(target=ways[0].begin, args=(run, NETWORK, TAGS))
        writing.start()
        time.sleep(0.5)
        assert writing.is_alive()
        database.execute("COMMIT")
        writing.join(BUSY_SECONDS)
    assert client(store.uri).get_run(run.id).info.status == "RUNNING"


def test_a_file_that_is_gone_is_not_made_anew(tmp_path):
    own = tracking.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}", "x")
    quick = InSqlite.of(own, ThroughClient(own))
    for file in tmp_path.glob("mlflow.db*"):
        file.unlink()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        quick.begin(Run(), NETWORK, TAGS)
    assert not (tmp_path / "mlflow.db").exists()


def test_artifacts_in_a_place_with_odd_signs(tmp_path):
    """A question mark in a URI of a folder: what comes after it is no path, and MLflow knows what to do with it."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracking.prepare(uri, "x")
    found = []
    for name, location in (("odd", "s3://bucket/folder?a=b"), ("slash", "s3://bucket/folder/")):
        experiment = client(uri).create_experiment(name, artifact_location=location)
        own = tracking.Store(uri, name, experiment)
        slow = ThroughClient(own)
        for way in (InSqlite.of(own, slow), slow):
            run = Run()
            way.begin(run, NETWORK, TAGS)
            found.append(run.artifact_uri.replace(run.id, "-"))
    assert found == ["s3://bucket/folder/-/artifacts?a=b"] * 2 + ["s3://bucket/folder/-/artifacts"] * 2
