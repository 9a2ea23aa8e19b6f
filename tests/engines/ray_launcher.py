"""Ray on this machine, by Hydra's launcher for it. It starts a job whose process died again by itself."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tests.engines.sweeps import OFTEN, RARELY, Row, Sweep, analysis, disturbed


def obstacle() -> str:
    """Why there is no Ray here; empty where there is."""
    lacking = [name for name in ("ray", "hydra_plugins.hydra_ray_launcher") if not importlib.util.find_spec(name)]
    return f"no {', '.join(lacking)}: pip install 'initdist[ray]'" if lacking else ""


def rows(folder: Path, expected: Mapping[str, Mapping[str, float]], only: Collection[str] = ()) -> Iterator[Row]:
    """Each disturbance in a folder of its own."""

    def killed(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        jobs = sweep.jobs()
        for job in jobs:
            os.kill(job, signal.SIGKILL)
        return f"kill -9 of {len(jobs)} jobs"

    def ended(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        jobs = sweep.jobs()
        for job in jobs:
            os.kill(job, signal.SIGTERM)
        return f"SIGTERM to {len(jobs)} jobs"

    for what, disturb in {"sweep": (), "kill": (killed,), "requeue": (ended,)}.items():
        if only and what not in only:
            continue
        often = RARELY if what == "requeue" else OFTEN
        sweep = Sweep(folder / f"ray {what}", ("hydra/launcher=ray", *often))
        yield disturbed("Ray", what, sweep, expected, *disturb)
        if what == "sweep":
            yield analysis("Ray", sweep, expected)
