"""Whether a database or a server can be used, found out in seconds, and what to do where it cannot.

MLflow asks a database ten times, for two minutes. Messages name the host and never the URI, which may hold a password.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from initdist.secrets import cause
from initdist.tracking.records import TrackingError

if TYPE_CHECKING:
    import sqlalchemy as sa

SECONDS = 10  # to connect
LOCK_SECONDS = 300  # for another command that makes the tables
LOCK = 0x696E6974  # of ours alone, in each database: "init"
# How a driver is told to give up; others wait for as long as the system does.
_GIVE_UP = {
    "psycopg2": "connect_timeout",
    "psycopg": "connect_timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
}
_INSTALL = {"psycopg2": "'initdist[postgres]'", "psycopg": "'initdist[postgres]'", "MySQLdb": "mysqlclient"}
_FORM = "after the login it reads HOST:PORT/DATABASE, and a password has %40 for @, %3A for : and %2F for /"
# What a database says, and what to do.
_DATABASE = (
    ("password|authentication|denied|pg_hba", "give a user and a password that it takes, in the URI or in ~/.pgpass"),
    ("does not exist|Unknown database", "create it there, or name another"),
    ("refused|timeout|timed out|translate host|resolve|Name or service|No route|unreachable|No such file|2003",
     "start it, or mend the host and the port"),
)  # fmt: skip
# What MLflow's client says of a server: what that means, and what to do.
_SERVER = (
    (r"Invalid Host header", "the server takes no request by this host name",
     "start it with --allowed-hosts and that name"),
    (r"error code 401|UNAUTHENTICATED|not authenticated", "it asks for a user and a password",
     "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
    (r"error code 403|PERMISSION_DENIED|Permission denied", "this user may not do that there",
     "ask for the permission, or use another experiment"),
    (r"error code 404|valid JSON|ENDPOINT_NOT_FOUND", "what answers there is no MLflow server",
     "give the URL that its pages open at"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is signed by nobody who is trusted here",
     "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority"),
    (r"WRONG_VERSION_NUMBER|SSLError", "it does not answer by https", "use http://, or mend the server"),
    (r"[Ff]ailed to resolve|NameResolution|Name or service", "there is no host of this name", "mend the host"),
    (r"Invalid url|InvalidURL|Failed to parse", "that is no address", "give one such as http://HOST:5000"),
    (r"[Tt]imed out|[Tt]imeout", "nothing answers there in time", "start the server, or name another store"),
    (r"Max retries exceeded", "no server answers there", "start it, or name another store"),
)  # fmt: skip


@contextlib.contextmanager
def connected(uri: str, **options: Any) -> Iterator[sa.Connection]:
    """A connection to a database, with these options of its engine.

    Raises TrackingError where there is none, and says why.
    """
    import sqlalchemy as sa

    url = _url(uri)
    try:
        give_up = _GIVE_UP.get(url.get_dialect().driver)
        limit = {give_up: SECONDS} if give_up and give_up not in url.query else {}
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=limit).execution_options(**options)
    except (ImportError, sa.exc.ArgumentError) as error:
        raise TrackingError(_unsupported(url, error)) from cause(error)
    try:
        connection = engine.connect()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise TrackingError(_refused(url, error)) from cause(error)
    with connection:
        yield connection


@contextlib.contextmanager
def alone(uri: str) -> Iterator[None]:
    """One command at a time where a PostgreSQL database has no tables yet: MLflow makes them without a lock.

    Raises TrackingError, also where the database cannot be reached.
    """
    import sqlalchemy as sa

    with connected(uri) as connection:
        if connection.dialect.name == "postgresql" and not _is_made(connection):
            try:  # of the transaction, which ends with the connection: a pool of connections may be in between
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            except sa.exc.SQLAlchemyError as error:
                raise TrackingError(
                    f"tracking.uri must be a database that takes writes, got one that another process prepares: "
                    f"{_said(error)}; try again, or end that process"
                ) from cause(error)
            if _is_made(connection):  # by the one that was waited for
                connection.rollback()
        yield


def _is_made(connection: sa.Connection) -> bool:
    """The last thing that MLflow makes in a new database is an experiment of its own."""
    import sqlalchemy as sa

    has_table = sa.inspect(connection).has_table("experiments")
    return has_table and connection.scalar(sa.text("SELECT 1 FROM experiments LIMIT 1")) is not None


def of_server(message: str) -> str:
    """What is wrong with a server, and what to do, from what MLflow's client says; empty where that is unknown."""
    found = ((what, remedy) for pattern, what, remedy in _SERVER if re.search(pattern, message))
    return "; ".join(next(found, ()))


def _url(uri: str) -> sa.URL:
    import sqlalchemy as sa

    try:
        return sa.make_url(uri)
    except (sa.exc.ArgumentError, ValueError) as error:
        why = f"tracking.uri must be the URI of a database, got {uri}: {_said(error)}; {_FORM}"
        raise TrackingError(why) from cause(error)


def _unsupported(url: sa.URL, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        install = _INSTALL.get(package, package)
        return f"tracking.uri needs the driver {package}, which is not installed: pip install {install}"
    if isinstance(error, ImportError):
        return f"tracking.uri needs a driver that can be loaded, got {url.drivername}: {_said(error)}"
    return f"tracking.uri must name a kind of database that there is, got {url.drivername}: {_said(error)}"


def _refused(url: sa.URL, error: Exception) -> str:
    said = _said(error)
    remedy = next((remedy for pattern, remedy in _DATABASE if re.search(pattern, said)), "mend that, or name another")
    where = f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}"
    return (
        f"tracking.uri must be a database that can be opened, got {url.database or 'one'} at {where}: {said}; {remedy}"
    )


def _said(error: Exception) -> str:
    """The one line of an error that tells: that of the database itself, if it answered."""
    lines = [line.strip() for line in str(getattr(error, "orig", None) or error).splitlines() if line.strip()]
    line = next((line for line in lines if "FATAL" in line), lines[0] if lines else type(error).__name__)
    return line[-250:]
