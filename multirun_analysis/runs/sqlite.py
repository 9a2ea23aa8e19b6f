"""An SQLite store's tables, read directly: several times faster than through the client, and it only reads.

Used if the tables have the columns that are read here; `client.py` reads every other store, to the same records.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from multirun_analysis.runs.records import TAGS, Records, finite, spread

COLUMNS = {
    "experiments": {"experiment_id", "name", "lifecycle_stage", "workspace"},
    "runs": {
        "run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id",
    },
    "params": {"key", "value", "run_uuid"},
    "tags": {"key", "value", "run_uuid"},
    "latest_metrics": {"key", "value", "is_nan", "run_uuid"},
    "metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
}  # fmt: skip
ACTIVE = "run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active')"
IDS_A_QUERY = 500


def path_of(uri: str) -> Path:
    """The file of an SQLite URI."""
    return Path(uri.partition(":///")[2].partition("?")[0])


@contextmanager
def opened(uri: str) -> Iterator[sqlite3.Connection | None]:
    """A connection that cannot write and sees one state throughout; None where the tables are not as expected.

    Raises sqlite3.Error.
    """
    connection = sqlite3.connect(f"{path_of(uri).resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        known = all(wanted <= _columns(connection, table) for table, wanted in COLUMNS.items())
        yield connection if known else None
    finally:
        connection.close()


def read(connection: sqlite3.Connection, experiment_id: str) -> Records:
    """All active runs of an experiment."""
    with _uncollected():
        rows = connection.execute(
            "SELECT run_uuid, name, status, artifact_uri, start_time, end_time FROM runs "
            "WHERE experiment_id = ? AND lifecycle_stage = 'active' ORDER BY start_time, run_uuid",
            (experiment_id,),
        ).fetchall()
        columns = [np.array(column, dtype=object) for column in zip(*rows, strict=True)] or [np.empty(0, object)] * 6
        info = dict(
            zip(("run_id", "run_name", "status", "artifact_uri", "start_time", "end_time"), columns, strict=True)
        )
        ids = info["run_id"]
        wanted = ",".join("?" * len(TAGS))
        tags = spread(
            connection.execute(
                f"SELECT run_uuid, key, value FROM tags WHERE {ACTIVE} AND key IN ({wanted})",
                (experiment_id, *TAGS.values()),
            ),
            ids,
        )
        params = spread(
            connection.execute(f"SELECT run_uuid, key, value FROM params WHERE {ACTIVE}", (experiment_id,)), ids
        )
        metrics = spread(
            connection.execute(
                f"SELECT run_uuid, key, CASE WHEN is_nan THEN NULL ELSE value END FROM latest_metrics WHERE {ACTIVE}",
                (experiment_id,),
            ),
            ids,
            numeric=True,
        )
    empty = np.full(len(ids), None, dtype=object)
    return Records(
        str(experiment_id),
        info,
        params,
        {key: finite(values) for key, values in metrics.items()},
        {column: tags.get(tag, empty) for column, tag in TAGS.items()},
    )


def histories(
    connection: sqlite3.Connection, run_ids: Sequence[str], metrics: Sequence[str]
) -> list[tuple[str, str, int, float]]:
    """Run id, metric, step, value of every point, in the order in which they were logged."""
    points: list[tuple[str, str, int, float]] = []
    keys = ",".join("?" * len(metrics))
    for first in range(0, len(run_ids), IDS_A_QUERY):
        some = run_ids[first : first + IDS_A_QUERY]
        points += connection.execute(
            "SELECT run_uuid, key, step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics "
            f"WHERE run_uuid IN ({','.join('?' * len(some))}) AND key IN ({keys}) ORDER BY timestamp, step",
            (*some, *metrics),
        ).fetchall()
    return points


def experiment(connection: sqlite3.Connection, name: str) -> tuple[str | None, str, list[str]]:
    """Id (None if there is none), lifecycle stage, and the names of all active experiments."""
    rows: list[tuple[Any, str, str]] = connection.execute(
        "SELECT experiment_id, name, lifecycle_stage FROM experiments WHERE workspace = 'default'"
    ).fetchall()
    known = [other for _, other, stage in rows if stage == "active"]
    found = next(((str(number), stage) for number, other, stage in rows if other == name), None)
    return (*found, known) if found else (None, "", known)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million small rows make the garbage collector look at them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
