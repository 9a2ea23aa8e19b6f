"""Everything about CUDA that has to be run on a GPU, in at most eight minutes: `make gpu-check`.

The most important steps come first. Each has a time limit of its own, the next one begins whatever became of it, and
what is known so far is written after each, as `gpu_check.json`, to the folder in the environment variable OUT, or else
to benchmarks/results/. `python benchmarks/results.py` takes it into RESULTS.md.

    python benchmarks/gpu_check.py                          # with initdist installed, or what make gpu-bundle makes
    python benchmarks/gpu_check.py --only tests,grid        # of the others, what is in the file stays
    INITDIST_GPU_CHECK=cpu python benchmarks/gpu_check.py   # on the CPU, at small sizes: a rehearsal

Ends with 3 where there is no GPU, with 1 where a step failed. Needs nothing but Python to begin with.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUNDLE = ROOT / "gpu-bundle"
FILE, LOG = "gpu_check.json", "gpu_check.log"
REHEARSAL = "gpu_rehearsal.json"  # on the CPU: never taken for a GPU's
SECONDS, INSTALLATION = 450, 60  # for all steps together; for the wheels of a bundle before them
PATIENCE = 20  # times the limits on the CPU: only a GPU's time is short, and a rehearsal may run beside other work
NO_GPU, FAILED = 3, 1


@dataclass(frozen=True)
class Step:
    name: str
    limit: int  # seconds
    what: str


STEPS = (
    Step("machine", 40, "versions, memory, and the two ceilings: copies and matrix products"),
    Step("tests", 110, "the tests that need a GPU"),
    Step("main_job", 100, "the main job on the GPU and on the CPU beside it: same stop reasons, distances within 2 %"),
    Step("steps", 90, "steps per second of stacks, against a plain loop and the limit"),
    Step("grid", 110, "500 networks on MNIST, with tracking, as one command; where a part of it spends its time"),
    Step("numerics", 60, "tf32, bfloat16 and compiled steps"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(step.name for step in STEPS), help="steps to take")
    parser.add_argument("--probe", action="store_true", help="only look whether there is a GPU")
    chosen = parser.parse_args()
    device = "cpu" if os.environ.get("INITDIST_GPU_CHECK") == "cpu" else "cuda"
    if device == "cuda" and gpus() == 0:
        print("gpu-check: no CUDA device was found; INITDIST_GPU_CHECK=cpu rehearses the steps on the CPU")
        sys.exit(NO_GPU)
    if chosen.probe:
        return
    wanted = chosen.only.split(",")
    if unknown := set(wanted) - {step.name for step in STEPS}:
        parser.error(f"--only must be of {', '.join(step.name for step in STEPS)}, got {', '.join(sorted(unknown))}")
    times = PATIENCE if device == "cpu" else 1
    steps = [replace(step, limit=times * step.limit) for step in STEPS if step.name in wanted]
    sys.exit(check(steps, device, environment(), times * SECONDS))


def gpus() -> int:
    """How many CUDA devices the driver shows, without PyTorch."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0


def environment() -> dict[str, str]:
    """For the steps: initdist and all that it needs, from the bundle where it is not installed."""
    given = {**os.environ, "PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}
    if (BUNDLE / "data").is_dir():
        given.setdefault("INITDIST_DATA", str(BUNDLE / "data"))
    if importlib.util.find_spec("hydra") is None:
        site = BUNDLE / "site"
        if not site.is_dir():
            wheels = sorted(map(str, (BUNDLE / "wheels").glob("*.whl")))
            if not wheels:
                sys.exit("gpu-check: initdist is not installed, and there is no gpu-bundle/: make setup, or make "
                         "gpu-bundle where there is a network")  # fmt: skip
            beside = BUNDLE / "site.part"
            shutil.rmtree(beside, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
            subprocess.run([*pip, "--target", str(beside), *wheels], check=True, timeout=INSTALLATION)
            beside.rename(site)
        given["PYTHONPATH"] = f"{site}{os.pathsep}{ROOT}"
    return given


def check(steps: list[Step], device: str, environment: dict[str, str], seconds: float = SECONDS) -> int:
    """Take the steps, in so many seconds; returns the exit code."""
    folder = Path(os.environ.get("OUT") or HERE / "results")
    folder.mkdir(parents=True, exist_ok=True)
    began, file = time.monotonic(), folder / (FILE if device == "cuda" else REHEARSAL)
    results: dict[str, Any] = json.loads(file.read_text())["steps"] if file.exists() else {}
    for step in steps:
        results.pop(step.name, None)
    with (folder / LOG).open("w") as log:
        for step in steps:
            limit = min(step.limit, seconds - (time.monotonic() - began))
            print(f"{step.name}: {step.what}", flush=True)
            results[step.name] = taken(step, device, limit, environment, log)
            file.write_text(json.dumps({"device": device, "steps": results}, indent=1))
            print(f"    {line(results[step.name])}", flush=True)
    print(f"\n{table(results)}\n\nAll of it: {file}; what was printed on the way: {folder / LOG}")
    return FAILED if any(one["status"] != "ok" for one in results.values()) else 0


def taken(step: Step, device: str, limit: float, environment: dict[str, str], log: Any) -> dict[str, Any]:
    """What one step found out: in a process of its own, ended with all its children when its time is over."""
    if limit < 5:
        return {"status": "left out: no time", "seconds": 0.0, "found": {}}
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch, "found.json")
        command = [sys.executable, str(HERE / "gpu_steps.py"), step.name, device, str(found)]
        log.write(f"== {step.name}\n")
        log.flush()
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=scratch, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit)
            status = "ok" if code == 0 else f"failed: exit code {code}"
        except subprocess.TimeoutExpired:
            status = f"failed: not done after {limit:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        result = json.loads(found.read_text()) if found.exists() else {}
        if status == "ok" and result.get("wrong"):
            status = f"failed: {result['wrong']}"
        return {"status": status, "seconds": round(time.monotonic() - began, 1), "found": result}


def line(result: dict[str, Any]) -> str:
    return f"{result['status']}, {result['seconds']:.0f} s: {result['found'].get('summary', 'nothing was found out')}"


def table(results: dict[str, Any]) -> str:
    """Of all steps, and of the targets that can be judged by them, in Markdown."""
    rows = ["| step | | seconds | found |", "|---|---|---|---|"]
    for name, one in results.items():
        rows.append(f"| {name} | {one['status']} | {one['seconds']:.0f} | {one['found'].get('summary', '-')} |")
    targets = [target for one in results.values() for target in one["found"].get("targets", [])]
    if targets:
        rows += ["", "| target | wanted | measured | |", "|---|---|---|---|"]
        rows += [f"| {t['name']} | {t['wanted']} | {t['measured']} | {t['verdict']} |" for t in targets]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
