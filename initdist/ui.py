"""Open the MLflow UI on exactly the store that training writes to: `python -m initdist.ui`."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sqlite3
import sys
from pathlib import Path

from initdist import names, surroundings
from initdist.cli import arguments
from initdist.errors import UserError
from initdist.paths import sqlite_file, store_uri
from initdist.secrets import masked, unmasked
from initdist.sweeps import hosts
from initdist.tracking import TrackingError, places, reachable
from initdist.tracking.store import is_database

HOST = "127.0.0.1"
PORTS = 20  # looked at for a free one


def main() -> None:
    """Replace this process by the MLflow server, bound to this machine alone. A tracking server has its own UI: its
    address is printed."""
    surroundings.settle()
    arguments.hide(arguments.option)
    parser = argparse.ArgumentParser(prog="initdist.ui", description="Open the MLflow UI on the tracking store.")
    parser.add_argument("--uri", default=masked(store_uri()), help="the store (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: %(default)s)")
    options = parser.parse_args()
    try:
        uri = unmasked(options.uri)
    except UserError as error:
        sys.exit(f"initdist: {error}")
    if uri.startswith(("http://", "https://")):
        print(f"MLflow UI of the tracking server: {masked(uri)}")
        return
    _check_store(uri)
    _check_port(options.port)
    print(f"MLflow UI of {options.uri} at http://{HOST}:{options.port}/#/experiments{names.UI_VIEW}", flush=True)
    # One person's: with four workers and a runner of jobs for language models it takes three times as long to start.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri  # an argument would be in the list of processes
    server = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", HOST]
    os.execv(sys.executable, [*server, "--port", str(options.port)])


def _prepare(path: Path, uri: str) -> None:
    """Ends the process where MLflow cannot open a store, or must not."""
    if not path.exists():
        sys.exit(f"initdist: the tracking store must exist, got {uri}: train something first")
    if not os.access(path, os.W_OK):
        sys.exit(f"initdist: MLflow opens a store for writing, and this user may not write to {path}: copy its folder")
    try:
        hosts.check(uri)
    except TrackingError as error:
        sys.exit(f"initdist: {error}")
    with contextlib.suppress(sqlite3.Error):  # MLflow says what is wrong
        if moved := places.move_in(path):
            print(f"initdist: {moved}")


def _check_store(uri: str) -> None:
    if not is_database(uri):
        sys.exit(f"initdist: the store must be a database or a server, got {masked(uri)}")
    if path := sqlite_file(uri):
        _prepare(path, masked(uri))
        return
    try:
        with reachable.connected(uri):
            pass
    except TrackingError as error:
        sys.exit(f"initdist: {error}")


def _check_port(port: int) -> None:
    if not 0 <= port < 2**16:
        sys.exit(f"initdist: --port must be from 0 to 65535 (0: one that is free), got {port}")
    if wrong := _wrong(port):
        free = next((other for other in range(port + 1, min(port + PORTS, 2**16)) if not _wrong(other)), None)
        advice = f"use --port {free}, which is free" if free else "give another"
        sys.exit(f"initdist: --port must be free, got {port}: {wrong.lower()}; {advice}")


def _wrong(port: int) -> str:
    """Why a server cannot listen there; empty where it can."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as it does itself
        try:
            server.bind((HOST, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


if __name__ == "__main__":
    main()
