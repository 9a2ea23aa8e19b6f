"""Connections to the file of an SQLite store, used beside MLflow's client where that is too slow."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Set
from pathlib import Path

from initdist.tracking.records import Store
from initdist.tracking.store import sqlite_path

BUSY_SECONDS = 20.0  # for another writer, as MLflow waits


def file(store: Store) -> Path | None:
    """The file of a store; None where it is no SQLite store."""
    path = sqlite_path(store.uri)
    return path.resolve() if path is not None else None


def connect(file: Path, mode: str) -> sqlite3.Connection:
    """`mode`: ro or rw; a file that is gone is not made anew. Raises sqlite3.Error."""
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def has(database: sqlite3.Connection, wanted: Mapping[str, Set[str]]) -> bool:
    """Whether the tables have at least these columns."""
    there = columns(database, wanted)
    return all(known <= there[table] for table, known in wanted.items())


def columns(database: sqlite3.Connection, tables: Collection[str]) -> Mapping[str, frozenset[str]]:
    """The columns of each of these tables; none for one that is not there."""
    return {table: frozenset(row[1] for row in database.execute(f"PRAGMA table_info({table})")) for table in tables}
