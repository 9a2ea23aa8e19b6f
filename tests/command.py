"""Running the command line as a user does, in a process of its own, and reading what it left in the store."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

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
    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")


def runs(folder: Path, kind: str = "network", experiment: str = "initdist") -> list[Any]:
    """All runs of a kind in a folder's store, oldest first."""
    store = client(folder)
    found = store.get_experiment_by_name(experiment)
    assert found is not None
    condition = f"tags.`initdist.kind` = '{kind}'"
    return list(store.search_runs([found.experiment_id], condition, order_by=["attributes.start_time ASC"]))


def by_identity(folder: Path) -> dict[str, Any]:
    return {one.data.tags["initdist.identity"]: one for one in runs(folder) if one.info.status == "FINISHED"}
