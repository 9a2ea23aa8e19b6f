"""What a user waits for: start-up, a further job, the overhead of a network, and the time to a whole grid.

    python benchmarks/end_to_end.py                       # all of it
    python benchmarks/end_to_end.py --only start,overhead
    INITDIST_DATA=data python benchmarks/end_to_end.py --only grid

Everything runs as a user would run it, by the command line, into a fresh store. The grid needs MNIST: 150 networks,
n = 1024, widths 64, 128 and 256, noise 0, 0.1, 0.25, 0.5 and 1.0, ten seeds, each to the threshold. It is held against
plain PyTorch loops, one single-threaded process a core, which train the same networks on the same data with the same
stop rule: bare, and with the same history, measures and MLflow runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plain_grid
from machine import machine
from plain_grid import LEVELS, SEEDS, WIDTHS

from initdist import cores

TINY = ("model.width=16", "dataset.train_size=64", "stop.max_epochs=1", "stop.train_loss=0")


def line(store: Path, *arguments: str) -> list[str]:
    """The command that trains into a store."""
    return [sys.executable, "-m", "initdist.train", *arguments, f"tracking.uri=sqlite:///{store}"]


def command(store: Path, *arguments: str) -> float:
    """Seconds that `python -m initdist.train` takes with a store."""
    started = time.perf_counter()
    done = subprocess.run(line(store, *arguments), cwd=store.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


def peaks(store: Path, *arguments: str) -> dict[str, float]:
    """Largest resident memory, in MiB, of the command's own process and of all its processes together."""
    own = whole = 0.0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line(store, *arguments), cwd=store.parent, **quiet) as process:
        while process.poll() is None:
            try:
                tree = family(process.pid)
                own, whole = max(own, resident(process.pid)), max(whole, sum(map(resident, tree)))
            except OSError:  # one of them has just ended
                pass
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"initdist ended with {process.returncode}")
    return {"main process": own, "all processes": whole}


def family(pid: int) -> list[int]:
    """A process and its descendants (Linux)."""
    children = [
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
    ]
    return [pid, *(one for child in children for one in family(child))]


def resident(pid: int) -> float:
    """Private and shared memory of a process, the shared in equal parts to those who share it, in MiB (Linux)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(one.split()[1]) for one in rollup if one.startswith("Pss:")) / 1024


def query(store: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(store) as connection:
        return connection.execute(sql).fetchall()


def start(folder: Path, rounds: int) -> dict[str, float]:
    """A single run, from the command to its first step and to its end, into a store that is there already and not."""
    found: dict[str, list[float]] = {"fresh store": [], "to the first step": [], "whole command": []}
    for i in range(rounds):
        store = folder / f"start{i}.db"
        found["fresh store"].append(command(store, *TINY))
        launched = time.time()
        found["whole command"].append(command(store, *TINY, "seed=1"))
        ((began,),) = query(store, "select max(start_time) from runs")
        found["to the first step"].append(began / 1e3 - launched)
    return {name: statistics.median(values) for name, values in found.items()}


def jobs(folder: Path, rounds: int) -> dict[str, float]:
    """A further job of a multirun, of one tiny network."""
    few, many = 2, 22
    each = []
    for i in range(rounds):
        seconds = [
            command(folder / f"jobs{i}.{n}.db", "-m", "hydra.sweeper.fuse=false", f"seed=range(0,{n})", *TINY)
            for n in (few, many)
        ]
        each.append((seconds[1] - seconds[0]) / (many - few))
    return {"a further job": statistics.median(each)}


def overhead(folder: Path, rounds: int) -> dict[str, float]:
    """What a network costs beside its training, by networks that hardly train; and the tracking of it alone."""
    few, many = 40, 440
    each = []
    for i in range(rounds):
        seconds, trained = [], []
        for n in (few, many):
            store = folder / f"overhead{i}.{n}.db"
            seconds.append(command(store, "-m", f"seed=range(0,{n})", "model.width=256", *TINY[1:]))
            ((total,),) = query(store, "select sum(value) from tags where key = 'initdist.training_seconds'")
            trained.append(total / cores.usable())
        each.append((seconds[1] - seconds[0] - (trained[1] - trained[0])) / (many - few))
    return {"a network beside its training": statistics.median(each)}


def grid(folder: Path, rounds: int) -> dict[str, Any]:
    """The reference grid, by the command line and by the plain loops, in turns."""
    root = os.environ.get("INITDIST_DATA")
    if root is None:
        return {}
    settings = (
        "dataset=mnist",
        f"dataset.root={Path(root).resolve()}",
        "dataset.download=false",
        "dataset.train_size=1024",
    )
    axes = (
        f"model.width={','.join(map(str, WIDTHS))}",
        f"noise.level={','.join(map(str, LEVELS))}",
        f"seed=range(0,{len(SEEDS)})",
    )
    seconds: dict[str, list[float]] = {"initdist": [], "plain": [], "plain, tracked": []}
    for i in range(rounds):
        store = folder / f"grid{i}.db"
        seconds["initdist"].append(command(store, "-m", *axes, *settings))
        for name, own in (("plain", None), ("plain, tracked", folder / f"plain{i}.db")):
            started = time.perf_counter()
            loops = plain_grid.train(settings, own)
            seconds[name].append(time.perf_counter() - started)
    ours = seconds["initdist"]
    rows = query(
        store,
        "select d.value, e.value from latest_metrics d join latest_metrics e on d.run_uuid = e.run_uuid "
        "where d.key = 'distance_from_init' and e.key = 'epochs' order by d.value",
    )
    theirs = sorted((one["distance"], one["epochs"]) for one in loops)
    return {
        "networks": len(rows),
        **{name: statistics.median(each) for name, each in seconds.items()},
        **{
            f"times faster than {name}": statistics.median(p / o for p, o in zip(seconds[name], ours, strict=True))
            for name in ("plain", "plain, tracked")
        },
        "plain networks": len(theirs),
        "mean distance": statistics.mean(d for d, _ in rows),
        "plain mean distance": statistics.mean(d for d, _ in theirs),
        "network epochs": sum(e for _, e in rows),
        "plain network epochs": sum(e for _, e in theirs),
    }


def memory(folder: Path, rounds: int) -> dict[str, float]:
    """Peak memory of the command's processes after 100 networks, and after 1,000: it must not grow with them."""
    del rounds
    found = {}
    for n in (100, 1000):
        store = folder / f"memory{n}.db"
        before = time.perf_counter()
        for name, size in peaks(store, "-m", f"seed=range(0,{n})", *TINY).items():
            found[f"{name} of {n:,} networks, MiB"] = size
        found[f"{n:,} networks"] = time.perf_counter() - before
    return found


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "start": start,
    "jobs": jobs,
    "overhead": overhead,
    "memory": memory,
    "grid": grid,
}


HEAD = "| | seconds, or as named |\n|---|---|"


def lines(part: str, found: dict[str, Any]) -> Iterator[str]:
    for name, value in found.items():
        yield f"| {part}: {name} | {value:,.3f} |" if isinstance(value, float) else f"| {part}: {name} | {value:,} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="median of so many")
    parser.add_argument("--grid-rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args()
    print(HEAD, flush=True)
    results: dict[str, Any] = {"machine": machine("cpu")}
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen.only.split(","):
            rounds = chosen.grid_rounds if part == "grid" else chosen.rounds
            results[part] = PARTS[part](Path(folder), rounds)
            print("\n".join(lines(part, results[part])), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
