"""What a user waits for: start-up, a further job, the overhead of a network, and the time to a whole grid.

    python benchmarks/end_to_end.py                       # all of it
    python benchmarks/end_to_end.py --only start,overhead
    INITDIST_DATA=data python benchmarks/end_to_end.py --only grid

Everything runs as a user would run it, by the command line, into a fresh store. The grid needs MNIST: 150 networks,
n = 1024, widths 64, 128 and 256, noise 0, 0.1, 0.25, 0.5 and 1.0, ten seeds, each to the threshold. It is held against
plain PyTorch loops, one single-threaded process a core, which train the same networks on the same data with the same
stop rule, and track nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from machine import cores, machine

WIDTHS, LEVELS, SEEDS = (64, 128, 256), (0.0, 0.1, 0.25, 0.5, 1.0), range(10)
TINY = ("model.width=16", "dataset.train_size=64", "stop.max_epochs=1", "stop.train_loss=0")


def command(store: Path, *arguments: str) -> float:
    """Seconds that `python -m initdist.train` takes with a store."""
    started = time.perf_counter()
    line = [sys.executable, "-m", "initdist.train", *arguments, f"tracking.uri=sqlite:///{store}"]
    done = subprocess.run(line, cwd=store.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started


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
            trained.append(total / cores())
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
    ours, plain, loops = [], [], []
    for i in range(rounds):
        store = folder / f"grid{i}.db"
        ours.append(command(store, "-m", *axes, *settings))
        started = time.perf_counter()
        loops = plain_grid(settings)
        plain.append(time.perf_counter() - started)
    rows = query(
        store,
        "select d.value, e.value from latest_metrics d join latest_metrics e on d.run_uuid = e.run_uuid "
        "where d.key = 'distance_from_init' and e.key = 'epochs' order by d.value",
    )
    theirs = sorted((one["distance"], one["epochs"]) for one in loops)
    return {
        "networks": len(rows),
        "initdist": statistics.median(ours),
        "plain": statistics.median(plain),
        "times faster": statistics.median(p / o for p, o in zip(plain, ours, strict=True)),
        "plain networks": len(theirs),
        "mean distance": statistics.mean(d for d, _ in rows),
        "plain mean distance": statistics.mean(d for d, _ in theirs),
        "network epochs": sum(e for _, e in rows),
        "plain network epochs": sum(e for _, e in theirs),
    }


def plain_grid(settings: Sequence[str]) -> list[dict[str, float]]:
    """The networks of the grid, one after the other in each of as many processes as there are cores."""
    cases = [(width, level, seed) for level, seed, width in product(reversed(LEVELS), SEEDS, reversed(WIDTHS))]
    with multiprocessing.get_context("spawn").Pool(cores()) as pool:
        return pool.starmap(plain_network, [(settings, *case) for case in cases], chunksize=1)


def plain_network(settings: Sequence[str], width: int, level: float, seed: int) -> dict[str, float]:
    """One network to its threshold, by a plain loop."""
    import torch
    from hydra import compose as hydra
    from hydra import initialize_config_dir
    from plain import CHECK_FACTOR, Plain

    from initdist import compose, config, data, models, paths, rng, stack

    torch.set_num_threads(1)
    device = torch.device("cpu")
    compose.register()
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        own = [f"model.width={width}", f"noise.level={level}", f"seed={seed}"]
        (one,) = config.networks(hydra("config", [*settings, *own]))
    samples = data.build([one], device)
    inputs, labels = (part[0] for part in samples.train_slice(0, samples.train_size))
    about = samples.shared.description
    initial = stack.build([one], about.input_shape, about.classes, device).network(0)
    module = models.build(one.model, about.input_shape, about.classes)
    module.load_state_dict(initial)
    network = Plain(module, inputs, labels, one.optimizer.lr, one.optimizer.batch_size)
    for epoch in range(1, one.stop.max_epochs + 1):
        mean = network.epoch(torch.from_numpy(rng.epoch_order(one.seeds.order, epoch, samples.train_size)))
        if mean <= CHECK_FACTOR * one.stop.train_loss and network.evaluate(inputs, labels)[0] <= one.stop.train_loss:
            break
    tests = [part[0] for part in samples.test_slice(0, samples.test_size)]
    _, test_error = network.evaluate(*tests)
    moved = sum(float((p.detach() - initial[name]).double().square().sum()) for name, p in module.named_parameters())
    return {"distance": moved**0.5, "epochs": epoch, "test_error": test_error}


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "start": start,
    "jobs": jobs,
    "overhead": overhead,
    "grid": grid,
}


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
    print("| | seconds |\n|---|---|", flush=True)
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
