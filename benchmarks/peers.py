"""Whole commands against what one would write instead, in turns.

    python benchmarks/peers.py                       # all of it; the first part needs INITDIST_DATA
    python benchmarks/peers.py --only narrow --rounds 1

Start-up and tracking included, each into a fresh store. `loops` trains 128 networks of width 64 on 4,096 samples of
MNIST (INITDIST_DATA) for at most 20 epochs, against plain PyTorch loops, one single-threaded process a core, which
track nothing; `loops, tracked` against the same loops with initdist's history, measures and runs. `main job` and
`narrow` train 27 and 18 networks on digits (widths 64, 256, 1024, or the first two; noise 0, 0.25, 0.5; three seeds) to
the threshold, against a sweep of Lightning, Hydra's joblib launcher and MLflow's logger.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import plain_grid
from end_to_end import command, query
from machine import machine

HERE = Path(__file__).resolve().parent
SEEDS = 128


def loops(folder: Path, tracked: bool) -> dict[str, float]:
    """Seconds of both, and the mean distances."""
    root = Path(os.environ["INITDIST_DATA"]).resolve()
    data = ("dataset=mnist", f"dataset.root={root}", "dataset.download=false", "dataset.train_size=4096")
    settings = (*data, "stop.max_epochs=20")
    store = folder / "loops.db"
    ours = command(store, "-m", "model.width=64", f"seed=range(0,{SEEDS})", *settings)
    started = time.perf_counter()
    own = folder / "plain.db" if tracked else None
    found = plain_grid.train(settings, own, [(64, 0.0, seed) for seed in range(SEEDS)])
    theirs = time.perf_counter() - started
    return {
        "initdist": ours,
        "other": theirs,
        "distance": distance(store),
        "other distance": sum(one["distance"] for one in found) / SEEDS,
    }


def sweep(folder: Path, widths: str) -> dict[str, float]:
    """Seconds of both, and the mean distances without noise."""
    import mlflow

    store, other = folder / "sweep.db", folder / "lightning.db"
    ours = command(store, "-m", f"model.width={widths}", "noise.level=0,0.25,0.5", "seed=range(0,3)")
    started = time.perf_counter()
    mlflow.set_tracking_uri(f"sqlite:///{other}")  # made before the jobs, who would all make it at once
    mlflow.set_experiment("peer")
    subprocess.run(
        [
            *(sys.executable, str(HERE / "lightning_sweep.py"), "-m", f"width={widths}", "noise=0,0.25,0.5"),
            *("seed=range(0,3)", f"uri=sqlite:///{other}"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return {
        "initdist": ours,
        "other": time.perf_counter() - started,
        "distance": distance(store, "noise.level"),
        "other distance": distance(other, "noise"),
    }


def distance(store: Path, noise: str | None = None) -> float:
    """The mean distance of the networks in a store; with the name of a param, of those where that is 0."""
    clean = f"join params p on p.run_uuid = m.run_uuid and p.key = '{noise}' and p.value in ('0', '0.0')"
    ((value,),) = query(
        store,
        f"select avg(m.value) from latest_metrics m {clean if noise else ''} where m.key = 'distance_from_init'",
    )
    return float(value)


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "loops": lambda folder: loops(folder, tracked=False),
    "loops, tracked": lambda folder: loops(folder, tracked=True),
    "main job": lambda folder: sweep(folder, "64,256,1024"),
    "narrow": lambda folder: sweep(folder, "64,256"),
}

HEAD = (
    "| | initdist, s | other, s | times faster | spread over the turns | mean distance | other |\n"
    "|---|---|---|---|---|---|---|"
)


def line(part: str, turns: list[dict[str, Any]]) -> str:
    ratios = sorted(turn["other"] / turn["initdist"] for turn in turns)
    seconds = {name: median(turn[name] for turn in turns) for name in turns[0]}
    return (
        f"| {part} | {seconds['initdist']:.1f} | {seconds['other']:.1f} | {median(ratios):.2f} "
        f"| {ratios[0]:.2f}-{ratios[-1]:.2f} | {seconds['distance']:.3f} | {seconds['other distance']:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=";".join(PARTS), help=f"of {'; '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args()
    results: dict[str, Any] = {"machine": machine("cpu"), "parts": {}}
    print(HEAD, flush=True)
    for part in chosen.only.split(";"):
        turns = results["parts"][part] = []
        for _ in range(chosen.rounds):
            with tempfile.TemporaryDirectory() as folder:
                turns.append(PARTS[part](Path(folder)))
        print(line(part, turns), flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
