"""Networks' runs in a database of MLflow's: one transaction each to begin and to end a run.

By MLflow's client the same takes seven, and some ten times as long, nearly all of it spent on the objects of its ORM.
The tables and the sessions are MLflow's own, so every database that it knows is written by the same statements. What
MLflow would cut, change or refuse goes through its client, which says so, and so does what another program has written
to the same run.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels import models
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils import validation as limits
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from initdist.paths import sqlite_file
from initdist.tracking.records import DatasetInfo, NetworkFacts, Point, Run, Store
from initdist.tracking.store import is_database
from initdist.tracking.through_client import ThroughClient

# Everything that is written, in the order in which it is written here.
COLUMNS: Mapping[Any, tuple[str, ...]] = {
    models.SqlRun: (
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
        "end_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id", "deleted_time",
    ),
    models.SqlParam: ("key", "value", "run_uuid"),
    models.SqlTag: ("key", "value", "run_uuid"),
    models.SqlMetric: ("key", "value", "timestamp", "step", "run_uuid", "is_nan"),
    models.SqlLatestMetric: ("key", "value", "timestamp", "step", "run_uuid", "is_nan"),
    models.SqlDataset: (
        "dataset_uuid", "experiment_id", "name", "digest", "dataset_source_type", "dataset_source", "dataset_schema",
        "dataset_profile",
    ),
    models.SqlInput: ("input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step"),
    models.SqlInputTag: ("input_uuid", "name", "value"),
}  # fmt: skip
# A text that is too long for its column is an error still.
_ARRAYS = {str: "TEXT[]", int: "BIGINT[]", float: "DOUBLE PRECISION[]", bool: "BOOLEAN[]"}
ACTIVE = "active"
NAME_LENGTH = 250
RUN_NAME, USER = "mlflow.runName", "mlflow.user"
_KEY = re.compile(r"\w[\w.\- :]*(/\w[\w.\- :]*)*")  # keys that MLflow surely takes


class InDatabase:
    """Begins and ends runs in one transaction each; a call that failed has left nothing, and can be made again."""

    def __init__(self, store: Store, database: SqlAlchemyStore, otherwise: ThroughClient) -> None:
        self._experiment_id = int(store.experiment_id)
        self._file = sqlite_file(store.uri)
        self._inode = self._now_at_path()
        self._database = database
        self._otherwise = otherwise

    @classmethod
    def of(cls, store: Store, otherwise: ThroughClient) -> InDatabase | None:
        """None where the store is no database that can be opened, or where this MLflow's tables are not as here."""
        file = sqlite_file(store.uri)
        if not is_database(store.uri) or (file and not file.exists()) or not _are_known():
            return None
        try:
            database = SqlAlchemyStore(store.uri, "mlruns")  # a folder that no run of ours has anything in
        except (MlflowException, SQLAlchemyError):  # the client says what is wrong
            return None
        known = "read_only" in inspect.signature(database.ManagedSessionMaker).parameters
        return cls(store, database, otherwise) if known else None

    def begin(self, run: Run, network: NetworkFacts, tags: Mapping[str, str]) -> None:
        """Create a run, RUNNING, with the params, tags and datasets of a network."""
        known = not run.id and RUN_NAME not in tags
        if not (known and _done(lambda: self._created(run, network, {**tags, RUN_NAME: network.name}))):
            self._otherwise.begin(run, network, tags)

    def end(self, run: Run, status: str, end_ms: int, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Add values and tags to a run, and end it."""
        if not _done(lambda: self._ended(run.id, status, end_ms, points, tags)):
            self._otherwise.end(run, status, end_ms, points, tags)

    def _created(self, run: Run, network: NetworkFacts, tags: Mapping[str, str]) -> bool:
        if not (_plain([*network.params, *tags], tags.values()) and _fits(network)):
            return False
        experiment = models.SqlExperiment
        with self._transaction() as session:
            location = session.scalar(
                sa.select(experiment.artifact_location).where(
                    experiment.experiment_id == self._experiment_id, experiment.lifecycle_stage == ACTIVE
                )
            )
            if not location:
                return False
            run_id = uuid.uuid4().hex
            artifact_uri = append_to_uri_path(location, run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)
            started = int(time.time() * 1000)
            row = (run_id, network.name, "UNKNOWN", "", "", tags.get(USER, "unknown"), "RUNNING", started, None, "",
                   ACTIVE, artifact_uri, self._experiment_id, None)  # fmt: skip
            _insert(session, models.SqlRun, [row])
            _insert(session, models.SqlParam, [(key, str(value), run_id) for key, value in network.params.items()])
            _insert(session, models.SqlTag, [(key, value, run_id) for key, value in tags.items()])
            self._insert_datasets(session, run_id, network.datasets)
        run.id, run.artifact_uri = run_id, artifact_uri
        return True

    def _ended(self, run_id: str, status: str, end_ms: int, points: Sequence[Point], tags: Mapping[str, str]) -> bool:
        if RUN_NAME in tags or not _plain([*tags, *(point.key for point in points)], tags.values()):
            return False
        if any(math.isnan(point.value) for point in points):
            return False
        rows = list(dict.fromkeys(map(_finite, points)))
        latest: dict[str, Point] = {}
        for row in rows:
            latest[row.key] = max(latest.get(row.key, row), row, key=lambda p: (p.step, p.timestamp, p.value))
        run, tag, value = models.SqlRun, models.SqlTag, models.SqlLatestMetric
        with self._transaction() as session:
            change = sa.update(run).where(run.run_uuid == run_id, run.lifecycle_stage == ACTIVE)
            changed: Any = session.execute(change.values(status=status, end_time=end_ms))
            has_values = sa.select(value.key).where(value.run_uuid == run_id).limit(1)
            if not changed.rowcount or session.scalar(has_values) is not None:  # deleted, or another has written to it
                session.rollback()
                return False
            _insert(session, models.SqlMetric, [(*row, run_id, False) for row in rows])
            _insert(session, models.SqlLatestMetric, [(*row, run_id, False) for row in latest.values()])
            session.execute(sa.delete(tag).where(tag.run_uuid == run_id, tag.key.in_(tags)))
            _insert(session, models.SqlTag, [(key, value, run_id) for key, value in tags.items()])
        return True

    def _insert_datasets(self, session: Session, run_id: str, datasets: Sequence[DatasetInfo]) -> None:
        wanted = {(one.name, one.digest): one for one in reversed(datasets)}
        table = models.SqlDataset
        same = table.experiment_id == self._experiment_id, table.name.in_({name for name, _ in wanted})
        known = session.execute(sa.select(table.name, table.digest, table.dataset_uuid).where(*same))
        ids = {(name, digest): found for name, digest, found in known}
        new = {key: uuid.uuid4().hex for key in wanted.keys() - ids.keys()}
        rows = [
            (dataset, self._experiment_id, *key, one.SOURCE_TYPE, one.source_json, None, None)
            for key, dataset in new.items()
            for one in [wanted[key]]
        ]
        own = {key: uuid.uuid4().hex for key in wanted}
        _insert(session, table, rows)
        inputs = [(own[key], "DATASET", (ids | new)[key], "RUN", run_id, 0) for key in wanted]
        _insert(session, models.SqlInput, inputs)
        _insert(session, models.SqlInputTag, [(own[key], one.CONTEXT_TAG, one.context) for key, one in wanted.items()])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Session]:
        """All or nothing. Raises MlflowException, or OSError where the file of the store is gone."""
        if self._now_at_path() != self._inode:  # an open connection writes to a file that nobody finds any more
            self._database.engine.dispose()
            self._inode = self._now_at_path()
        with self._database.ManagedSessionMaker(read_only=False) as session:
            yield session

    def _now_at_path(self) -> int | None:
        return self._file.stat().st_ino if self._file else None


def _are_known() -> bool:
    """Whether this MLflow's tables have exactly the columns that are written."""
    return all(set(columns) == set(model.__table__.columns.keys()) for model, columns in COLUMNS.items())


def _done(write: Callable[[], bool]) -> bool:
    """Whether it was written. Not, where another program has just inserted the same: the client knows what to do."""
    try:
        return write()
    except MlflowException as error:
        if isinstance(error.__cause__, IntegrityError):
            return False
        raise


def _insert(session: Session, model: Any, rows: Iterable[tuple[object, ...]]) -> None:
    columns = COLUMNS[model]
    values = list(rows)
    if values and session.get_bind().dialect.name == "postgresql":
        arrays = zip(columns, map(list, zip(*values, strict=True)), strict=True)
        session.execute(_from_arrays(model), dict(arrays))
    elif values:
        session.execute(_into(model), [dict(zip(columns, row, strict=True)) for row in values])


@cache
def _into(model: Any) -> sa.Insert:
    return sa.insert(model.__table__)


@cache
def _from_arrays(model: Any) -> sa.TextClause:
    """For PostgreSQL: all rows by one statement that does not grow with them, each column as an array."""
    table = model.__table__
    columns = [table.columns[name] for name in COLUMNS[model]]
    into = ", ".join(f'"{column.name}"' for column in columns)
    arrays = ", ".join(f"CAST(:{column.name} AS {_ARRAYS[column.type.python_type]})" for column in columns)
    return sa.text(f"INSERT INTO {table.name} ({into}) SELECT * FROM unnest({arrays})")


def _fits(network: NetworkFacts) -> bool:
    datasets = all(
        len(one.name) <= limits.MAX_DATASET_NAME_SIZE
        and len(one.digest) <= limits.MAX_DATASET_DIGEST_SIZE
        and len(one.source_json) <= limits.MAX_DATASET_SOURCE_SIZE
        and len(one.context) <= limits.MAX_INPUT_TAG_VALUE_SIZE
        for one in network.datasets
    )
    params = all(len(str(value)) <= limits.MAX_PARAM_VAL_LENGTH for value in network.params.values())
    return datasets and params and 0 < len(network.name) <= NAME_LENGTH


def _plain(keys: Iterable[str], values: Iterable[str]) -> bool:
    return all(map(_is_plain, keys)) and all(len(value) <= limits.MAX_TAG_VAL_LENGTH for value in values)


@cache
def _is_plain(key: str) -> bool:
    return len(key) <= limits.MAX_ENTITY_KEY_LENGTH and _KEY.fullmatch(key) is not None


def _finite(point: Point) -> Point:
    """Infinity as MLflow keeps it."""
    return point if math.isfinite(point.value) else point._replace(value=math.copysign(sys.float_info.max, point.value))
