"""Networks' runs in an SQLite store's own tables: one transaction each to begin and to end a run.

By MLflow's client the same takes seven, and some 20 times as long, nearly all of it spent on the objects of its ORM.
Used where the tables have exactly the columns that are written here. What MLflow would cut, change or refuse goes
through its client, which says so.
"""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from initdist.tracking import sqlite
from initdist.tracking.records import DatasetInfo, NetworkFacts, Point, Run, Store
from initdist.tracking.through_client import ThroughClient

COLUMNS = {
    "runs": (
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
        "end_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id", "deleted_time",
    ),
    "params": ("key", "value", "run_uuid"),
    "tags": ("key", "value", "run_uuid"),
    "metrics": ("key", "value", "timestamp", "step", "run_uuid", "is_nan"),
    "latest_metrics": ("key", "value", "timestamp", "step", "run_uuid", "is_nan"),
    "datasets": (
        "dataset_uuid", "experiment_id", "name", "digest", "dataset_source_type", "dataset_source", "dataset_schema",
        "dataset_profile",
    ),
    "inputs": ("input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step"),
    "input_tags": ("input_uuid", "name", "value"),
}  # fmt: skip
READ = {"experiments": {"experiment_id", "artifact_location", "lifecycle_stage"}}
# What is written again, after an error or by another program, as MLflow takes it.
AGAIN = {
    "metrics": "ON CONFLICT DO NOTHING",
    "latest_metrics": (
        "ON CONFLICT (key, run_uuid) DO UPDATE "
        "SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan "
        "WHERE (excluded.step, excluded.timestamp, excluded.value) > (step, timestamp, value)"
    ),
    "tags": "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
}
# The longest of each that MLflow takes as they are, and keys that it surely takes.
KEY_LENGTH, PARAM_LENGTH, TAG_LENGTH, NAME_LENGTH, URI_LENGTH = 250, 6000, 8000, 250, 200
DATASET_NAME_LENGTH, DIGEST_LENGTH, SOURCE_LENGTH, CONTEXT_LENGTH = 500, 36, 65535, 500
RUN_NAME, USER = "mlflow.runName", "mlflow.user"
_KEY = re.compile(r"\w[\w.\- :]*(/\w[\w.\- :]*)*")


class InSqlite:
    """Begins and ends runs in one transaction each; a call that failed has left nothing, and can be made again."""

    def __init__(self, store: Store, file: Path, otherwise: ThroughClient) -> None:
        self._experiment_id = store.experiment_id
        self._file = file
        self._otherwise = otherwise

    @classmethod
    def of(cls, store: Store, otherwise: ThroughClient) -> InSqlite | None:
        """None where the store is no SQLite file, or has not the tables that are written here."""
        file = sqlite.file(store)
        return cls(store, file, otherwise) if file is not None and _is_known(file) else None

    def begin(self, run: Run, network: NetworkFacts, tags: Mapping[str, str]) -> None:
        """Create a run, RUNNING, with the params, tags and datasets of a network."""
        unknown = run.id or RUN_NAME in tags
        if unknown or not self._created(run, network, {**tags, RUN_NAME: network.name}):
            self._otherwise.begin(run, network, tags)

    def end(self, run: Run, status: str, end_ms: int, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Add values and tags to a run, and end it."""
        if not self._ended(run.id, status, end_ms, points, tags):
            self._otherwise.end(run, status, end_ms, points, tags)

    def _created(self, run: Run, network: NetworkFacts, tags: Mapping[str, str]) -> bool:
        if not (_plain([*network.params, *tags], tags.values()) and _fits(network)):
            return False
        with self._transaction() as database:
            location = self._location(database)
            if location is None:
                return False
            run_id = uuid.uuid4().hex
            artifact_uri = f"{location}/{run_id}/artifacts"
            started = int(time.time() * 1000)
            row = (run_id, network.name, "UNKNOWN", "", "", tags.get(USER, "unknown"), "RUNNING", started, None, "",
                   "active", artifact_uri, self._experiment_id, None)  # fmt: skip
            _insert(database, "runs", [row])
            _insert(database, "params", [(key, str(value), run_id) for key, value in network.params.items()])
            _insert(database, "tags", [(key, value, run_id) for key, value in tags.items()])
            self._insert_datasets(database, run_id, network.datasets)
        run.id, run.artifact_uri = run_id, artifact_uri
        return True

    def _ended(self, run_id: str, status: str, end_ms: int, points: Sequence[Point], tags: Mapping[str, str]) -> bool:
        if RUN_NAME in tags or not _plain([*tags, *(point.key for point in points)], tags.values()):
            return False
        if any(math.isnan(point.value) for point in points):
            return False
        rows = [_finite(point) for point in points]
        latest: dict[str, Point] = {}
        for row in rows:
            latest[row.key] = max(latest.get(row.key, row), row, key=lambda p: (p.step, p.timestamp, p.value))
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ? AND lifecycle_stage = 'active'",
                (status, end_ms, run_id),
            )
            if not changed.rowcount:  # deleted by someone while it ran
                return False
            _insert(database, "metrics", [(*row, run_id, 0) for row in rows])
            _insert(database, "latest_metrics", [(*row, run_id, 0) for row in latest.values()])
            _insert(database, "tags", [(key, value, run_id) for key, value in tags.items()])
        return True

    def _location(self, database: sqlite3.Connection) -> str | None:
        """Where the experiment's files go; None where MLflow has to say why a run cannot be, or how."""
        found = database.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'",
            (self._experiment_id,),
        ).fetchone()
        location = str(found[0]).rstrip("/") if found and found[0] else ""
        plain = location and not set("?#") & set(location)
        return location if plain and len(location) + len("/artifacts/") + 32 <= URI_LENGTH else None

    def _insert_datasets(self, database: sqlite3.Connection, run_id: str, datasets: Iterable[DatasetInfo]) -> None:
        for one in {(one.name, one.digest): one for one in reversed(list(datasets))}.values():
            key = (self._experiment_id, one.name, one.digest)
            found = database.execute(
                "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?", key
            ).fetchone()
            dataset, own = found[0] if found else uuid.uuid4().hex, uuid.uuid4().hex
            if not found:
                _insert(database, "datasets", [(dataset, *key, one.SOURCE_TYPE, one.source_json, None, None)])
            _insert(database, "inputs", [(own, "DATASET", dataset, "RUN", run_id, 0)])
            _insert(database, "input_tags", [(own, one.CONTEXT_TAG, one.context)])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises sqlite3.Error."""
        with contextlib.closing(sqlite.connect(self._file, "rw")) as database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def _is_known(file: Path) -> bool:
    try:
        with contextlib.closing(sqlite.connect(file, "ro")) as database:
            written = {table: frozenset(known) for table, known in COLUMNS.items()}
            return sqlite.columns(database, COLUMNS) == written and sqlite.has(database, READ)
    except sqlite3.Error:  # MLflow says what is wrong
        return False


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    columns = COLUMNS[table]
    places = ", ".join("?" * len(columns))
    database.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) {AGAIN.get(table, '')}", list(rows)
    )


def _fits(network: NetworkFacts) -> bool:
    datasets = all(
        len(one.name) <= DATASET_NAME_LENGTH
        and len(one.digest) <= DIGEST_LENGTH
        and len(one.source_json) <= SOURCE_LENGTH
        and len(one.context) <= CONTEXT_LENGTH
        for one in network.datasets
    )
    params = all(len(str(value)) <= PARAM_LENGTH for value in network.params.values())
    return datasets and params and 0 < len(network.name) <= NAME_LENGTH


def _plain(keys: Iterable[str], values: Iterable[str]) -> bool:
    return all(map(_is_plain, keys)) and all(len(value) <= TAG_LENGTH for value in values)


@cache
def _is_plain(key: str) -> bool:
    return len(key) <= KEY_LENGTH and _KEY.fullmatch(key) is not None


def _finite(point: Point) -> Point:
    """Infinity as MLflow keeps it."""
    return point if math.isfinite(point.value) else point._replace(value=math.copysign(sys.float_info.max, point.value))
