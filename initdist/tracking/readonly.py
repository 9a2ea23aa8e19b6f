"""SQLite stores that are only read, also where this user may not write: in WAL mode SQLite writes even to read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from initdist.tracking.filesystems import network

BUSY_SECONDS = 20.0  # for another writer, as MLflow waits


@contextlib.contextmanager
def read_only(file: Path, busy: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
    """A connection that writes nothing. Raises sqlite3.Error."""
    uri = file.resolve().as_uri()
    with contextlib.closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=busy)) as database:
        if not _needs_to_write(database, file):
            yield database
            return
    if not os.access(file, os.R_OK):
        raise sqlite3.OperationalError(f"this user may not read {file}")
    before = _state(file)
    if left := [name for name, size in before.items() if size and name != file.name]:
        raise sqlite3.OperationalError(
            f"a command that writes now, or was killed, has left {left[0]}, which has to be written into the store: "
            "let its owner run python -m initdist.clean, or read a copy of its folder"
        )
    with contextlib.closing(sqlite3.connect(f"{uri}?immutable=1", uri=True)) as database:
        yield database
    if _state(file) != before:  # nothing keeps a writer away from a reader who may leave no lock
        raise sqlite3.OperationalError("it was written to while it was read: read it again")


@contextlib.contextmanager
def readable(file: Path) -> Iterator[Path]:
    """The file, or a copy where this user may not write, or another host may at the same time: MLflow opens a store for
    writing. Raises sqlite3.Error."""
    ours = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) and not network(file)
    if ours or not file.exists():
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
        copy = Path(folder, file.name)
        with read_only(file) as source, contextlib.closing(sqlite3.connect(copy)) as database:
            source.backup(database)
        yield copy


def _needs_to_write(database: sqlite3.Connection, file: Path) -> bool:
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
        return False
    except sqlite3.OperationalError as error:
        refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not (refused and file.is_file()):
            raise
        return True


def _state(file: Path) -> dict[str, int]:
    """What a writer changes: when the file was, and the sizes of what is not written into it yet, or to be undone."""
    others = (Path(f"{file}-{kind}") for kind in ("wal", "journal"))
    return {file.name: file.stat().st_mtime_ns} | {one.name: one.stat().st_size for one in others if one.exists()}
