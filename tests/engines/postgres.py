"""PostgreSQL on this machine, by itself and behind MLflow's server; each goes away for a while in the middle."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tests.command import wait_for
from tests.engines.sweeps import OFTEN, RARELY, Row, Sweep, analysis, disturbed

AWAY = 8.0  # seconds


class Postgres:
    """A server of its own, at a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = "nobody" if os.geteuid() == 0 else None  # a server refuses to be root's
        if self.user:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "initdist", "-E", "UTF8")

    def up(self) -> None:
        options = f"-F -k {self.folder} -c listen_addresses="
        log = f"{self.folder}/log"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", log, "-o", options, "start")

    def down(self) -> None:
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        """The URI of a new one."""
        self._run("createdb", "-h", str(self.folder), "-U", "initdist", name)
        return f"postgresql://initdist@/{name}?host={self.folder}"

    def _run(self, *command: str) -> None:
        there = shutil.which(command[0]) or f"{Path(shutil.which('initdb') or '').resolve().parent}/{command[0]}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([there, *command[1:]], check=True, cwd=self.folder, user=self.user, **quiet)


class Server:
    """MLflow's, in front of a database."""

    def __init__(self, folder: Path, store: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri, self.folder, self.store = f"http://127.0.0.1:{self.port}", folder, store
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "2"]
        command += ["--backend-store-uri", self.store, "--artifacts-destination", str(self.folder / "artifacts")]
        variables = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
        wait_for(self._answers)

    def down(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return True
        except OSError:
            return False


def obstacle() -> str:
    """Why there is no PostgreSQL here; empty where there is."""
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        return "no server of PostgreSQL: apt install postgresql, and its folder bin on PATH"
    drivers = [name for name in ("psycopg2", "psycopg") if importlib.util.find_spec(name)]
    return "" if drivers else "no driver of PostgreSQL: pip install 'initdist[postgres]'"


def rows(
    engine: str, folder: Path, expected: Mapping[str, Mapping[str, float]], only: Collection[str] = ()
) -> Iterator[Row]:
    """Each disturbance in a database of its own."""
    home = Path(tempfile.mkdtemp(prefix="initdist-postgres-"))  # a folder of root's may be closed to others
    postgres = Postgres(home)
    postgres.up()
    try:
        for what in ("sweep", "kill", "SIGTERM", "outage"):
            if not only or what in only:
                yield from _row(engine, what, folder / f"{engine} {what}", postgres, expected)
    finally:
        postgres.down()
        shutil.rmtree(home, ignore_errors=True)


def _row(
    engine: str, what: str, folder: Path, postgres: Postgres, expected: Mapping[str, Mapping[str, float]]
) -> Iterator[Row]:
    uri = postgres.database(folder.name.lower().replace(" ", "_"))
    folder.mkdir()
    server = Server(folder, uri) if engine == "MLflow server" else None
    if server:
        server.up()
    sweep = Sweep(folder, RARELY if what == "SIGTERM" else OFTEN, uri=server.uri if server else uri)

    def away(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        (server or postgres).down()
        time.sleep(AWAY)
        (server or postgres).up()
        return f"away for {AWAY:.0f} s"

    def killed(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        process.kill()
        return "kill -9 of the command"

    def ended(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        process.terminate()
        return "of the command"

    disturbances = {"kill": (killed,), "SIGTERM": (ended,), "outage": (away,)}
    try:
        yield disturbed(engine, what, sweep, expected, *disturbances.get(what, ()))
        if what == "sweep":
            yield analysis(engine, sweep, expected)
    finally:
        if server:
            server.down()
