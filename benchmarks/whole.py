"""What a whole command spends its time on, of all its processes: core-seconds by what they were spent on.

    python benchmarks/whole.py                            # needs INITDIST_DATA and the extra `bench`
    python benchmarks/whole.py --shapes "mlp 64, n 4096"

Each shape is run twice: once as it is, for the seconds, and for how idle the cores are, by the processor time of all
its processes; and once under py-spy, which looks a few times a second at what each process does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from end_to_end import family, line
from machine import machine

from initdist import cores

SHAPES = {
    "mlp 64, n 1024": ("model.width=64", "seed=range(0,128)", "dataset.train_size=1024", "stop.max_epochs=80"),
    "mlp 64, n 4096": ("model.width=64", "seed=range(0,128)", "dataset.train_size=4096", "stop.max_epochs=20"),
    "mlp 256, n 1024": ("model.width=256", "seed=range(0,32)", "dataset.train_size=1024", "stop.max_epochs=80"),
    "mlp 1024, n 1024": ("model.width=1024", "seed=range(0,8)", "dataset.train_size=1024", "stop.max_epochs=40"),
    "cnn 16, n 1024": ("model=cnn", "model.width=16", "seed=range(0,16)", "dataset.train_size=1024"),
    "reference grid": (
        "model.width=64,128,256",
        "seed=range(0,10)",
        "noise.level=0,0.1,0.25,0.5,1.0",
        "dataset.train_size=1024",
    ),
    "27 networks": ("dataset=digits", "model.width=64,256,1024", "seed=range(0,3)", "noise.level=0,0.25,0.5"),
}

# What is counted under which name: the innermost of these frames, function and file as py-spy gives them.
TRAINING = {
    "Epochs.run epochs.py": "steps",
    "StackData.train_batch stack_data.py": "gathering batches",
    "epoch_orders epochs.py": "orders",
    "_snapshot loop.py": "training losses",
    "Observer._train_metrics observer.py": "training losses",
    "test_metrics evaluation.py": "test set, for histories",
    "test_results evaluation.py": "test set, at the end",
    "distance evaluation.py": "distances",
    "measure measuring.py": "measures",
    "save weights.py": "weights",
    "theta_hash weights.py": "weights",
    "build stack_data.py": "data",
    "build stack.py": "initial networks",
    "record recording.py": "recording",
    "capacity worker.py": "planning stacks",
}
REST = {
    "Writer._work writer.py": "writing runs",
    "prepare store.py": "preparing the store",
    "_find_and_load": "imports",
    "FusedSweeper.sweep sweeper.py": "composing and planning",
    "Display.show progress.py": "showing progress",
}
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
RATE = 20  # looks a second: each costs time itself


def spent(shape: tuple[str, ...], folder: Path) -> Counter[str]:
    """Core-seconds by name."""
    file = folder / "stacks"
    spy = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        "--subprocesses",
        "--nonblocking",
        "--format",
        "raw",
    ]
    subprocess.run(
        [*spy, "--rate", str(RATE), "--output", str(file), "--", *command(shape, folder / "spied.db")],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    found: Counter[str] = Counter()
    for entry in file.read_text().splitlines():
        frames, _, count = entry.rpartition(" ")
        found[named(frames.split(";"))] += int(count) / RATE
    return found


def named(frames: list[str]) -> str:
    """The name under which a look at a process is counted."""
    short = [re.sub(r"\((?:.*/)?([^/]*?)(:\d+)?\)$", r"\1", frame) for frame in frames]
    training = "_serve launching.py" in short
    for frame in reversed(short):
        for start, name in (TRAINING if training else REST).items():
            if frame.startswith(start):
                return name
    return "else, in training processes" if training else "else"


def command(shape: tuple[str, ...], store: Path) -> list[str]:
    root = Path(os.environ["INITDIST_DATA"]).resolve()
    return line(store, "-m", "dataset=mnist", f"dataset.root={root}", "dataset.download=false", *shape)


def timed(shape: tuple[str, ...], folder: Path) -> tuple[float, float, float]:
    """Seconds, and the share of the cores that is idle: in all of them, and in the last fifth."""
    began = time.perf_counter()
    curve = [(0.0, 0.0)]
    used: dict[int, float] = {}
    with subprocess.Popen(command(shape, folder / "timed.db"), cwd=folder, **QUIET) as process:
        while process.poll() is None:
            for pid in family(process.pid):
                used[pid] = processor_seconds(pid)
            curve.append((time.perf_counter() - began, sum(used.values())))
            time.sleep(0.2)
    seconds = curve[-1][0]
    late = next(i for i, (at, _) in enumerate(curve) if at >= 0.8 * seconds)
    return seconds, idle(curve[0], curve[-1]), idle(curve[late], curve[-1])


def idle(first: tuple[float, float], last: tuple[float, float]) -> float:
    return max(0.0, 1 - (last[1] - first[1]) / (last[0] - first[0]) / cores.usable())


def processor_seconds(pid: int) -> float:
    """Of a process, user and system (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(found: dict[str, Any]) -> str:
    """Core-seconds of each shape, and the share of all of them."""
    shapes = list(found["shapes"])
    names = dict.fromkeys([*TRAINING.values(), "else, in training processes", *REST.values(), "else"])
    rows = [f"| | {' | '.join(shapes)} |", "|---" * (len(shapes) + 1) + "|"]
    for name in names:
        cells = []
        for shape in shapes:
            spent = found["shapes"][shape]["spent"]
            share = spent.get(name, 0) / sum(spent.values())
            cells.append(f"{spent.get(name, 0):.1f} ({share:.0%})")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    for name, key, text in (
        ("seconds of the command", "seconds", "{:.1f}"),
        ("cores idle", "idle", "{:.0%}"),
        ("cores idle, last fifth", "idle at the end", "{:.0%}"),
    ):
        rows.append(f"| {name} | {' | '.join(text.format(found['shapes'][shape][key]) for shape in shapes)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=";".join(SHAPES), help=f"of {'; '.join(SHAPES)}")
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"machine": machine("cpu"), "shapes": {}}
    for name in chosen.shapes.split(";"):
        with tempfile.TemporaryDirectory() as folder:
            seconds, whole, late = timed(SHAPES[name], Path(folder))
            found["shapes"][name] = {
                "seconds": seconds,
                "idle": whole,
                "idle at the end": late,
                "spent": spent(SHAPES[name], Path(folder)),
            }
        print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(found, indent=1))
    print(table(found))


if __name__ == "__main__":
    main()
