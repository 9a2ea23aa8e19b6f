"""A sweep that is disturbed, and what becomes of its networks: each is to be FINISHED once, with undisturbed values."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mlflow.tracking import MlflowClient

from initdist.cli.overrides import quoted
from tests.command import environment, kept

GRID = ("-m", "model.width=8,16,24", "seed=0,1")  # 6 networks in 3 jobs
EACH = (
    "model.depth=1",
    "dataset.train_size=96",
    "optimizer.batch_size=8",
    "optimizer.lr=1e-3",
    "stop.train_loss=0",
    "history=3",
    "device=cpu",
)
RARELY = ("checkpoint.every_minutes=1000",)  # written down when told to end, or never
OFTEN = ("checkpoint.every_minutes=0.005",)
COMMANDS = 6  # after so many what is missing is lost


@dataclass
class Row:
    """One engine under one disturbance."""

    engine: str
    what: str
    networks: int = 0
    lost: int = 0  # not FINISHED in the end
    doubled: int = 0  # FINISHED more than once
    silent: int = 0  # FINISHED with other values, or missing though the command ended with 0
    commands: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.silent)


@dataclass
class Sweep:
    """The grid as a command in a folder, with the overrides and variables of an engine."""

    epochs: ClassVar[int] = 2000  # so many that it can be met in the middle

    folder: Path
    overrides: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.uri = self.uri or f"sqlite:///{self.folder / 'mlflow.db'}"

    def start(self) -> subprocess.Popen[str]:
        own = f"stop.max_epochs={self.epochs}", f"tracking.uri='{self.uri}'"
        command = [sys.executable, "-m", "initdist.train", *GRID, *EACH, *own, *self.overrides]
        with (self.folder / "log").open("a") as log:
            print("$", *command, file=log, flush=True)
            return subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log, text=True
            )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def runs(self) -> list[Any]:
        """Those of networks."""
        client = MlflowClient(tracking_uri=self.uri)
        found = client.get_experiment_by_name("initdist")
        kind = "tags.`initdist.kind` = 'network'"
        return list(client.search_runs([found.experiment_id], kind)) if found else []

    def finished(self) -> list[Any]:
        return [run for run in self.runs() if run.info.status == "FINISHED"]

    def trains(self) -> bool:
        """Whether networks train, some of them for a while."""
        if not self.jobs():  # the store may not be made yet
            return False
        running = [run for run in self.runs() if run.info.status == "RUNNING"]
        return bool(running) and time.time() - min(run.info.start_time for run in running) / 1000 > 2

    def jobs(self) -> list[int]:
        """The processes that have leases, this command's own jobs."""
        return sorted({int(file.read_text().split(":")[-2]) for file in kept(self.folder, "claim")})

    def analyzed(self) -> int:
        """Networks in the analysis of what is in the store."""
        command = [sys.executable, "-m", "multirun_analysis", f"tracking.uri={quoted(self.uri)}", "out=reports"]
        with (self.folder / "log").open("a") as log:
            subprocess.run(command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log, check=True)
        with (self.folder / "reports" / "runs.csv").open(newline="") as file:
            return sum(1 for _ in csv.DictReader(file))

    def _environment(self) -> dict[str, str]:
        return environment() | {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"} | dict(self.variables)


def values(sweep: Sweep) -> dict[str, dict[str, float]]:
    """Identity -> what a network ended with."""
    return {run.data.tags["initdist.identity"]: dict(run.data.metrics) for run in sweep.finished()}


def disturbed(
    engine: str,
    what: str,
    sweep: Sweep,
    expected: Mapping[str, Mapping[str, float]],
    disturb: Callable[[Sweep, subprocess.Popen[str]], str] | None = None,
) -> Row:
    """Start a sweep, disturb it while it trains, and give the command again until nothing is missing."""
    row, began = Row(engine, what, len(expected)), time.monotonic()
    while row.commands < COMMANDS:
        process = sweep.start()
        row.commands += 1
        if disturb and row.commands == 1:
            while process.poll() is None and not sweep.trains():
                time.sleep(0.2)
            assert process.poll() is None, sweep.log()
            row.note = disturb(sweep, process)
        code = process.wait(timeout=600)
        missing = expected.keys() - values(sweep).keys()
        row.silent += len(missing) if code == 0 else 0
        if not missing:
            break
    counted = Counter(run.data.tags["initdist.identity"] for run in sweep.finished())
    row.lost = len(expected.keys() - counted.keys())
    row.doubled = sum(number - 1 for number in counted.values())
    row.silent += sum(dict(expected[identity]) != found for identity, found in values(sweep).items())
    row.silent += sum(run.info.status == "RUNNING" for run in sweep.runs())
    row.seconds = time.monotonic() - began
    return row


def analysis(engine: str, sweep: Sweep, expected: Mapping[str, Mapping[str, float]]) -> Row:
    """The analysis of a sweep that has ended reads every network."""
    began = time.monotonic()
    found = sweep.analyzed()
    lost, doubled = max(0, len(expected) - found), max(0, found - len(expected))
    return Row(engine, "analysis", len(expected), lost, doubled, 0, 1, time.monotonic() - began)
