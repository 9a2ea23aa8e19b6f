"""Opening a tracking store for reading: an analysis never creates or changes one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from initdist import tracking
from initdist.errors import ConfigError, nearest
from initdist.paths import sqlite_file, store_uri
from initdist.secrets import cause, masked, unmasked
from multirun_analysis.errors import AnalysisError
from multirun_analysis.labels import listing

if TYPE_CHECKING:
    from mlflow import MlflowClient


def one_line(error: BaseException) -> str:
    """An exception's message without line breaks or secrets, shortened."""
    text = " ".join(masked(error).split())
    return text if len(text) <= 300 else text[:297] + "..."


def named(uri: str | None, directory: str | Path = ".") -> str:
    """The whole URI of the store that is asked for, or of the one to take where none is. Raises AnalysisError."""
    try:
        return unmasked(store_uri(uri, directory))
    except ConfigError as error:
        raise AnalysisError(str(error)) from None


def check_uri(uri: str) -> None:
    """Raises AnalysisError if this cannot be a tracking URI."""
    if "://" not in uri and not uri.startswith("databricks"):
        raise AnalysisError(
            f"tracking.uri must be a URI such as sqlite:////absolute/path/mlflow.db or http://host:5000, got {uri!r}"
        )


def open_client(uri: str) -> MlflowClient:
    """A client of an existing store. Raises AnalysisError where there is none."""
    check_uri(uri)
    if uri.startswith("sqlite"):
        check_sqlite(uri)
    from mlflow.exceptions import MlflowException

    from initdist.tracking.store import client

    try:
        return cast("MlflowClient", client(uri))
    except (MlflowException, OSError) as error:
        raise AnalysisError(f"tracking.uri={uri} cannot be opened: {one_line(error)}") from cause(error)


def check_sqlite(uri: str) -> None:
    """Looks at the file read-only first, since MLflow would create a missing one and fill an empty one."""
    path = sqlite_file(uri) or Path(uri.partition(":///")[2].partition("?")[0])
    if not path.is_file():
        raise AnalysisError(
            f"tracking.uri={uri} does not exist: there is no file {path}. "
            "Train networks first (python -m initdist.train), or set tracking.uri to the store that holds them"
        )
    try:
        with tracking.read_only(path) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise AnalysisError(f"tracking.uri={uri} cannot be read as an SQLite store: {one_line(error)}") from error
    if not {"experiments", "runs"} <= tables:
        raise AnalysisError(f"tracking.uri={uri} is not an MLflow store: {path} has no table of experiments and runs")


def missing_experiment(uri: str, name: str, deleted: bool, known: Sequence[str]) -> AnalysisError:
    """What to tell who asks for an experiment that is not there."""
    return AnalysisError(
        f"tracking.experiment={name} {'was deleted' if deleted else 'does not exist'} in {uri}. "
        f"It holds: {listing(sorted(known)) or 'no experiment'}{nearest(name, known)}"
    )
