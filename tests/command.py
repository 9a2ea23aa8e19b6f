"""Running the command line as a user does, in a process of its own, and reading what it left in the store."""

from __future__ import annotations

import contextlib
import glob
import importlib
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from mlflow.tracking import MlflowClient

from initdist.events import ENDING
from initdist.paths import default_tracking_uri
from initdist.tracking import store

# Networks that train for longer than another command takes to start, written down many times a second.
LONG = (
    "dataset.train_size=96",
    "optimizer.batch_size=8",
    "optimizer.lr=1e-3",
    "stop.max_epochs=900",
    "device=cpu",
    "history=3",
    "checkpoint.every_minutes=1e-3",
)
# Long enough to be met in the middle.
AWHILE = (*LONG, "stop.max_epochs=300")
# Small enough to take a moment: two epochs of tiny networks on few samples, no weights unless asked for.
TINY = (
    "dataset.train_size=96",
    "optimizer.batch_size=40",
    "stop.max_epochs=2",
    "device=cpu",
    "history=3",
)

OTHER = "other-host:1:kernel-2"  # a process that cannot be seen from here


def train(folder: Path, *overrides: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`python -m initdist.train ...` started in a folder, which then holds its store."""
    return run(folder, "initdist.train", *overrides, check=check)


def run(folder: Path, module: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def in_process(
    folder: Path, *arguments: str, module: str = "initdist.train", check: bool = True
) -> subprocess.CompletedProcess[str]:
    """As `run`, in this process, whose training processes live on: ten times faster, for what is no matter of
    processes. What training processes print is not in it."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with _as_a_command(folder, [module, *arguments]), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            importlib.import_module(module).main()
        except SystemExit as left:
            if isinstance(left.code, str):
                print(left.code, file=sys.stderr)
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    done = subprocess.CompletedProcess([module, *arguments], code, out.getvalue(), err.getvalue())
    if check:
        assert code == 0, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def _as_a_command(folder: Path, argv: list[str]) -> Iterator[None]:
    """What a command changes in its process is as it was before, after it."""
    heeded, handlers, level = list(map(signal.getsignal, ENDING)), logging.root.handlers[:], logging.root.level
    try:
        with contextlib.chdir(folder), mock.patch.object(sys, "argv", argv), mock.patch.dict(os.environ):
            yield
    finally:
        for handler in logging.root.handlers:
            if handler not in handlers:
                handler.close()  # Hydra's, of the command's log
        logging.root.handlers[:], logging.root.level = handlers, level
        for number, heeding in zip(ENDING, heeded, strict=True):
            signal.signal(number, heeding)


def with_store(folder: Path) -> Path:
    """The folder, with an empty store in it, as a command makes one: MLflow takes seconds for its tables."""
    (folder / "mlflow.db").write_bytes(_empty_store())
    return folder


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        store._create(file)
        return file.read_bytes()


def start(folder: Path, *overrides: str, **variables: str) -> subprocess.Popen[str]:
    """As `train`, without waiting for it; what it prints is in its `stdout`. `variables` join its environment."""
    command = [sys.executable, "-m", "initdist.train", *overrides]
    return subprocess.Popen(
        command, cwd=folder, env=environment() | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """However busy the machine is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(folder: Path, name: str) -> list[Path]:
    """Files of this name in the networks' folders in `checkpoints/`."""
    found = glob.glob(f"{glob.escape(str(folder))}/checkpoints/*/*/{name}")  # pathlib's breaks where a folder goes
    return sorted(map(Path, found))


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_TRACKING")}


def client(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=default_tracking_uri(folder))


def runs(folder: Path, kind: str = "network", experiment: str = "initdist") -> list[Any]:
    """All runs of a kind in a folder's store, oldest first."""
    there = client(folder)
    found = there.get_experiment_by_name(experiment)
    assert found is not None
    condition = f"tags.`initdist.kind` = '{kind}'"
    return list(there.search_runs([found.experiment_id], condition, order_by=["attributes.start_time ASC"]))


def by_identity(folder: Path) -> dict[str, Any]:
    return {one.data.tags["initdist.identity"]: one for one in runs(folder) if one.info.status == "FINISHED"}
