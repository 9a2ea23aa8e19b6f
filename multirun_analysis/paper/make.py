"""Train what a part lacks and judge it, each by its own command, as a reader would by hand; and how long that took."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from initdist import cores
from multirun_analysis.paper.parts import COLUMN, SMALL, Part

TIMES = "times.json"
COLUMN_WIDTH = 3.25  # inches


class Failed(Exception):
    """A command of a part ended with an error, which it has told itself."""

    def __init__(self, command: Sequence[str], status: int):
        super().__init__(f"{' '.join(command)} ended with {status}; the same command goes on where it was")
        self.status = status


def commands(part: Part, size: str, out: Path) -> list[list[str]]:
    """What trains and judges a part: arguments of `python -m`. A first look has no figures of a paper's column."""
    train = ["initdist.train", f"experiment={part.experiment(size)}"]
    first = [[*train, *part.before]] if part.before else []
    analyze = ["multirun_analysis", f"tracking.experiment={part.experiment(size)}"]
    narrow = [*analyze, f"out={out / COLUMN}", f"figures.width={COLUMN_WIDTH}"]
    return [*first, train, [*analyze, f"out={out}"], *([narrow] if size != SMALL else [])]


def make(part: Part, size: str, folder: Path) -> float:
    """Run a part's commands; seconds that they took, over all times that they were run until it was whole. Raises
    Failed for one that fails."""
    out, times = folder / part.name, _times(folder)
    spent, whole = times.get(part.name, [0.0, False])
    for command in commands(part, size, out):
        started = time.monotonic()
        try:
            status = subprocess.run([sys.executable, "-m", *command], env=_environment(folder), check=False).returncode
        finally:  # also where it is stopped
            if not whole:
                spent += time.monotonic() - started
                _save(folder, times | {part.name: [spent, False]})
        if status:
            raise Failed(["python", "-m", *command], status)
    _save(folder, times | {part.name: [spent, True]})
    return float(spent)


def machine(folder: Path) -> str:
    """What the parts were trained on, as far as it is known."""
    text: str = _read(folder).get("machine", "")
    return text


def seconds(folder: Path) -> dict[str, float]:
    """Part -> how long its commands took, of those that are whole."""
    return {name: spent for name, (spent, whole) in _times(folder).items() if whole}


def _environment(folder: Path) -> dict[str, str]:
    """The store of the paper is its own, unless one is named."""
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder.resolve() / 'mlflow.db'}", **os.environ}


def _read(folder: Path) -> dict[str, Any]:
    file = folder / TIMES
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _times(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = _read(folder).get("seconds", {})
    return found


def _save(folder: Path, times: dict[str, Any]) -> None:
    versions = f"PyTorch {version('torch')}, Python {platform.python_version()}"
    text = f"{cores.usable()} cores, {versions}, {time.strftime('%F')}"
    (folder / TIMES).write_text(json.dumps({"machine": text, "seconds": times}, indent=1) + "\n")
