"""The stores of the tests: experiments of their own, and a PostgreSQL server where its programs are installed."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from initdist import tracking

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of an empty database."""
    driver = pytest.importorskip("psycopg2", reason="no driver of PostgreSQL: pip install 'initdist[postgres]'")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("no server of PostgreSQL on this machine")
    folder = Path(tempfile.mkdtemp(prefix="initdist-postgres-"))  # pytest's own may be closed to other users
    user = "nobody" if os.geteuid() == 0 else None  # a server refuses to be root's
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd=folder, user=user, **quiet)

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "initdist", "-E", "UTF8")
        rules = Path(data, "pg_hba.conf")
        rules.write_text("local all stranger scram-sha-256\n" + rules.read_text())  # it has no password
        run(
            "pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-F -k {folder} -c listen_addresses=", "start"
        )
        try:
            yield f"postgresql+{driver.__name__}://initdist@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_postgres(postgres: str) -> str:
    """The URI of a database that nobody has used."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = f"fresh_{next(_NUMBERS)}"
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture
def store(uri, request):
    """An experiment of the test's own, in the store that a file's tests share."""
    return tracking.prepare(uri, request.node.name)
