"""Connections to stores, closed when the process ends.

The last one to be closed has SQLite take in what it wrote beside the store (`mlflow.db-wal`). Nothing else closes them
where Python's collector rests at the end (`surroundings.settle`).
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from functools import cache
from typing import Any
from weakref import WeakSet


@cache
def close_at_exit() -> None:
    """For all databases that SQLAlchemy opens from now on, for whomever."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    engines: WeakSet[Engine] = WeakSet()
    event.listen(Engine, "engine_connect", lambda connection, *_: engines.add(connection.engine))
    atexit.register(_dispose, engines)


def _dispose(engines: Iterable[Any]) -> None:
    for engine in engines:
        engine.dispose()
