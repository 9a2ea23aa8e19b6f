"""Connections to databases, closed when they are no longer needed, at the latest when the process ends.

The last one to be closed has SQLite take in what it wrote beside the store (`mlflow.db-wal`). Nothing else closes them
where a process is ended from outside, or Python's collector rests at its end (`surroundings.settle`).
"""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_engines: WeakSet[Engine] = WeakSet()


@cache
def watch_connections() -> None:
    """From now on know of all connections that SQLAlchemy opens, whoever asks for them."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "engine_connect", lambda connection, *_: _engines.add(connection.engine))
    atexit.register(close_connections)


def close_connections() -> None:
    """Those that nobody uses just now. Whoever needs one later gets another."""
    for engine in tuple(_engines):
        engine.dispose()
