"""Preparing a tracking store once, safe against many processes on a fresh one."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from initdist import names
from initdist.paths import SQLITE, sqlite_file, sqlite_uri
from initdist.retry import patiently
from initdist.secrets import cause, masked
from initdist.tracking import artifacts, filesystems, places, reachable
from initdist.tracking.closing import watch_connections
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.uri import checked, wait_of

T = TypeVar("T")

SERVER = (
    "for several, run `mlflow server --host 0.0.0.0` on one, with its store on a disk of its own, and set "
    "tracking.uri=http://HOST:5000"
)
DATABASES, SERVERS = (SQLITE, "postgresql", "mysql", "mssql"), ("http://", "https://", "databricks")
MLFLOW = frozenset({"alembic_version", "experiments", "runs", "metrics"})  # tables of any of its stores
# What MLflow's UI shows of an experiment, and with which pages: those of model training.
EXPERIMENT_TAGS = {
    names.NOTE: "Networks trained by [initdist](https://github.com/initdist/initdist). Each run is one network; the "
    "runs of a command are below one parent run, whose description says what the analysis found. Sort by "
    "`distance_from_init`, `test_error` or `generalization_gap`, or chart them against `params.model.width`.",
    "mlflow.experimentKind": "custom_model_development",
}
LOCK_SECONDS, QUIET_SECONDS, BUSY_SECONDS = 120.0, 3.0, 30.0
# A server that does not answer must be reported in seconds, not after MLflow's minutes of retries.
_QUICK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class _Masking(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), None
        return True


_MASKING = _Masking()


def client(uri: str) -> Any:
    """An MLflow client of exactly this store."""
    from mlflow.tracking import MlflowClient

    logging.getLogger("urllib3.connectionpool").addFilter(_MASKING)  # it tells of what it tries again, with its options
    _quieten()
    watch_connections()
    # It tells of every run that ends, in two lines, for which it asks the server once more.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    return MlflowClient(tracking_uri=uri)


def _quieten() -> None:
    """MLflow tells of every table that it makes, and prints with a traceback what it raises anyway."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def existing(uri: str, experiment: str) -> Store:
    """As `prepare`, for a store and an experiment that are there already: nothing is created."""
    path = sqlite_file(checked(uri))
    if path is not None and not path.exists():
        raise TrackingError(f"tracking.uri must be a store that is there, got {uri}")
    return prepare(uri, experiment, create=False)


def asked(
    store: Store, call: Callable[[], T], patience: float = 0.0, worth: Callable[[Exception], bool] | None = None
) -> T:
    """What a call to the store returns; tried again for so many seconds while the store is away, or for what else is
    `worth` it.

    Raises TrackingError.
    """
    from mlflow.exceptions import MlflowException

    try:
        with quickly():
            return patiently(call, patience, store.uri, worth or may_pass)
    except MlflowException as error:
        raise TrackingError(explained(store.uri, str(error))) from cause(error)


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed later: the store is away, locked or full, not damaged or asked for nonsense."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        away = error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
        return away and not _is_damaged(str(error))
    if isinstance(error, sqlite3.OperationalError):
        return not _is_damaged(str(error))
    return isinstance(error, OSError)


def is_locked(error: Exception) -> bool:
    """Whether another program holds a lock on a SQLite store for longer than was waited."""
    return "database is locked" in str(error)


def _is_damaged(message: str) -> bool:
    return any(text in message for text in ("malformed", "not a database", "no such table", "no such column"))


def prepare(uri: str, experiment: str, create: bool = True) -> Store:
    """Create schema and experiment where they are missing, and check that the store takes writes.

    Without `create`, an experiment that is missing is refused.

    Raises TrackingError, before anything is written, for a store that is unreachable, read-only, corrupt or of another
    MLflow schema.
    """
    uri = checked(uri)
    if uri.startswith(SQLITE):
        return _prepare_sqlite(uri, experiment, create)
    if not uri.startswith((*DATABASES, *SERVERS)):
        raise TrackingError(
            f"tracking.uri must be a database or a server (sqlite:////path/mlflow.db, http://host:port), got {uri!r}"
        )
    with quickly(), reachable.alone(uri) if is_database(uri) else contextlib.nullcontext():
        return _experiment(uri, experiment, None, create)


@contextlib.contextmanager
def amending(store: Store) -> Iterator[None]:
    """One process of this machine at a time, with a SQLite store. For a server there is no such lock."""
    from filelock import FileLock

    path = sqlite_file(store.uri)
    with contextlib.nullcontext() if path is None else FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        yield


def is_database(uri: str) -> bool:
    """Whether MLflow reaches this store by itself, and not by a server."""
    return uri.startswith(DATABASES)


def _prepare_sqlite(uri: str, experiment: str, create: bool) -> Store:
    from filelock import FileLock, Timeout

    path = sqlite_file(uri) or Path()
    lock = FileLock(f"{path}.lock", timeout=LOCK_SECONDS)
    try:
        _check_place(path, uri)
        try:
            lock.acquire(timeout=QUIET_SECONDS)
        except Timeout:
            waiting = f"initdist: another process prepares {masked(uri)}: waiting for it, {LOCK_SECONDS:g} s at most"
            print(waiting, file=sys.stderr, flush=True)
        with lock:
            if not path.exists():
                _create(path)
            _check_writable(path, uri)
            store = _experiment(uri, experiment, places.own(path), create)
            with _refused(uri):
                moved = places.move_in(path)
            if moved:
                print(f"initdist: {moved}", file=sys.stderr, flush=True)
            return store
    except Timeout:
        raise TrackingError(f"tracking.uri {uri} is locked by another process for {LOCK_SECONDS:g} s") from None
    except OSError as error:
        raise TrackingError(f"tracking.uri must be writable, got {uri}: {error.strerror or error}") from error
    finally:
        lock.release(force=True)


def _check_place(path: Path, uri: str) -> None:
    """Refuse what can be no store before anything is left beside it. Raises TrackingError, or OSError."""
    if not path.parent.is_dir():
        what = "is none" if path.parent.exists() else "does not exist"
        raise TrackingError(f"tracking.uri must be in a folder that exists, got {uri}: {path.parent} {what}")
    if not path.exists():
        with tempfile.TemporaryFile(dir=path.parent):
            return
    if not path.is_file():
        raise TrackingError(f"tracking.uri must be a SQLite database, got {uri}: {path} is no file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise TrackingError(
            f"tracking.uri must be writable, got {uri}: this user may not write to {path}; "
            f"allow it (chmod u+rw {path}), or work in a copy of its folder"
        )
    # By SQLite alone: a file of its own, closed, would give up the locks that this process holds through SQLite.
    with _refused(uri), contextlib.closing(sqlite3.connect(path, timeout=wait_of(uri, BUSY_SECONDS))) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables & MLFLOW:
        raise TrackingError(
            f"tracking.uri must be a store of MLflow or a new one, got {uri}, a database of {', '.join(sorted(tables))}"
        )


def _create(path: Path) -> None:
    """Build MLflow's tables aside and put the finished file in place in one step.

    MLflow migrates a new file for seconds, and a second process that opens it meanwhile (a UI, a script) breaks both.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    _quieten()
    finished = Path(f"{path}.finished")
    finished.unlink(missing_ok=True)
    finished.touch()  # in a folder that takes no files this fails before any work
    try:
        with tempfile.TemporaryDirectory(prefix="initdist-") as folder:  # a network folder would take minutes
            building = Path(folder, path.name)
            # Its client would put the path of a folder into SQL as it is, and fail where that has both kinds of quotes.
            SqlAlchemyStore(sqlite_uri(building), Path("mlruns").resolve().as_uri())
            source, copy = sqlite3.connect(building), sqlite3.connect(finished)
            with contextlib.closing(source), contextlib.closing(copy):
                source.backup(copy)
        _put(finished, path)
    finally:
        finished.unlink(missing_ok=True)


def _put(finished: Path, path: Path) -> None:
    try:
        os.link(finished, path)
    except FileExistsError:
        pass  # another program's MLflow was faster: its file is as good
    except OSError as error:  # a file system without links
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if not path.exists():
            finished.rename(path)


def _check_writable(path: Path, uri: str) -> None:
    """Open the file for writing and put it into WAL mode, which lets readers and writers work side by side.

    Not on a network file system. The memory that WAL mode shares is of one host: two would destroy the file.
    """
    network = filesystems.network(path)
    wanted = "delete" if network else "wal"
    with _refused(uri), contextlib.closing(sqlite3.connect(path, timeout=wait_of(uri, BUSY_SECONDS))) as database:
        try:
            (mode,) = database.execute(f"PRAGMA journal_mode={wanted}").fetchone()
        except sqlite3.OperationalError as error:
            if not network or not is_locked(error):
                raise
            mode = ""
        if network and mode != wanted:
            raise TrackingError(
                f"tracking.uri must not be in SQLite's WAL mode on a network file system ({network}), got {uri}, which "
                f"a program has open in it: end that; {SERVER}"
            )
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
    if network:
        print(
            f"initdist: {path} is on a network file system ({network}), where SQLite is safe for one host at a time; "
            f"{SERVER}",
            file=sys.stderr,
            flush=True,
        )


@contextlib.contextmanager
def _refused(uri: str) -> Iterator[None]:
    """Raises TrackingError for what SQLite does not take."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise TrackingError(_locked(uri)) from error
        rule = "a writable SQLite database" if isinstance(error, sqlite3.OperationalError) else "a SQLite database"
        raise TrackingError(f"tracking.uri must be {rule}, got {uri}: {error}") from error


def _experiment(uri: str, name: str, files: Path | None, create: bool) -> Store:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = client(uri).get_experiment_by_name(name)
        if found is None and not create:
            raise TrackingError(f"tracking.experiment must be in {uri}, got {name!r}, which is not")
        if found is None:
            found = _created(uri, name, files)
    except (MlflowException, SQLAlchemyError, ImportError, ValueError) as error:  # no driver, no number as a port
        raise TrackingError(explained(uri, str(error))) from cause(error)
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"tracking.experiment must not be deleted, got {name!r}: "
            f"restore it with `mlflow experiments restore -x {found.experiment_id}`, or name another"
        )
    artifacts.check(found.artifact_location or "")
    return Store(uri, name, found.experiment_id)


def _created(uri: str, name: str, files: Path | None) -> Any:
    from mlflow.exceptions import MlflowException

    location = None if files is None else files.as_uri()
    try:
        made = client(uri).create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS)
        return client(uri).get_experiment(made)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return client(uri).get_experiment_by_name(name)  # another command was faster


def explained(uri: str, message: str) -> str:
    """What is wrong with a store, and what to do, from what MLflow says."""
    if "schema" in message and "upgrade" in message:
        return (
            f"tracking.uri must have this MLflow's schema, got {uri}: run `mlflow db upgrade {uri}` (back it up first)"
        )
    if "database is locked" in message:
        return _locked(uri)
    if _is_damaged(message):
        return (
            f"tracking.uri must be an undamaged SQLite database of MLflow, got {uri}: {_first_line(message)}; "
            "bring back a copy of it, or name another"
        )
    told = "" if is_database(uri) else reachable.of_server(message)
    return f"tracking.uri must be reachable, got {uri}: {told or _first_line(message)}"


def _locked(uri: str) -> str:
    return f"tracking.uri {uri} is locked by another program (`fuser FILE` names it): end it, or wait for it"


def _first_line(message: str) -> str:
    return (message.splitlines() or [""])[0][:300]


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """What is asked of a server in here it answers in seconds, or not at all."""
    kept = {key: os.environ.get(key) for key in _QUICK}
    for key, value in _QUICK.items():
        os.environ.setdefault(key, value)
    try:
        yield
    finally:
        for key, before in kept.items():
            if before is None:
                del os.environ[key]
