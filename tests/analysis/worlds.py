"""Planted worlds: real SQLite stores, filled through MlflowClient with runs of known truth."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from initdist import names

STEPS = (0, 1, 3, 10, 30, 100)
DEFAULTS: dict[str, Any] = {
    "model.name": "mlp",
    "model.width": 64,
    "model.depth": 2,
    "model.activation": "relu",
    "model.bias": True,
    "model.init": "xavier",
    "model.init_scale": 1.0,
    "dataset.name": "digits",
    "dataset.train_size": 1280,
    "noise.name": "labels",
    "noise.level": 0.0,
    "loss.name": "cross_entropy",
    "optimizer.name": "sgd",
    "optimizer.lr": 0.1,
    "optimizer.batch_size": 64,
    "stop.train_loss": 0.01,
    "stop.max_epochs": 1000,
}


@dataclass(frozen=True)
class Planted:
    """One run: params over DEFAULTS, metrics, and how it ended. identity None: made from the params."""

    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    status: str = "FINISHED"
    stop_reason: str | None = "threshold"
    identity: str | None = None
    sweep: str | None = None
    kind: str = names.KIND_NETWORK
    end: int = 2_000

    def all_params(self) -> dict[str, str]:
        seeds = dict.fromkeys(("seed", "seeds.init", "seeds.data", "seeds.noise", "seeds.order"), self.seed)
        return {name: str(value) for name, value in {**DEFAULTS, **seeds, **self.params}.items() if value != "ABSENT"}

    def tags(self) -> dict[str, str]:
        identity = self.identity if self.identity is not None else json.dumps(self.all_params(), sort_keys=True)
        tags = {names.KIND: self.kind, names.IDENTITY: identity, names.SWEEP: self.sweep or ""}
        tags |= {names.STOP_REASON: self.stop_reason or "", names.INPUT_SHAPE: "1x8x8", names.CLASSES: "10"}
        tags |= {names.VERSION: "0.1.0"}
        return {name: value for name, value in tags.items() if value}


class Store:
    """A store in a folder; `uri` is what the analysis gets."""

    def __init__(self, folder: Path, experiment: str = "initdist") -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)
        self.experiment_id = self.client.create_experiment(experiment, artifact_location=(folder / "files").as_uri())

    def add(self, runs: Sequence[Planted]) -> list[str]:
        """Run ids, in order."""
        return [self._add(run, start) for start, run in enumerate(runs, start=1_000)]

    def add_sweep(self, sweep: str, identities: Sequence[str] | None, kind: str = names.KIND_SWEEP) -> str:
        """A sweep's parent run; identities None: without networks.json."""
        tags = {names.KIND: kind, names.SWEEP: sweep}
        run_id = self.client.create_run(self.experiment_id, tags=tags, run_name=f"sweep {sweep}").info.run_id
        if identities is not None:
            listed = {"sweep": sweep, "networks": [{"identity": i, "name": "n"} for i in identities]}
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / names.NETWORKS_FILE
                path.write_text(json.dumps(listed))
                self.client.log_artifact(run_id, str(path))
        self.client.set_terminated(run_id)
        return run_id

    def _add(self, run: Planted, start: int) -> str:
        created = self.client.create_run(
            self.experiment_id, start_time=start, tags=run.tags(), run_name=f"{run.params} {run.seed}"
        )
        run_id = created.info.run_id
        metrics = [Metric(name, float(value), 0, STEPS[-1]) for name, value in run.metrics.items()]
        distance = run.metrics.get(names.DISTANCE, math.nan)
        if math.isfinite(distance):
            metrics += [Metric(names.DISTANCE, distance * math.sqrt(step / STEPS[-1]), 0, step) for step in STEPS[:-1]]
        params = [Param(name, value) for name, value in run.all_params().items()]
        self.client.log_batch(run_id, metrics=metrics, params=params, tags=[RunTag("extra", "1")])
        if run.status != "RUNNING":
            self.client.set_terminated(run_id, status=run.status, end_time=run.end)
        return run_id


def metrics(distance: float, gap: float, *, width: int = 64, n: int = 1280, noise: float = 0.0) -> dict[str, float]:
    """A network's metrics; the norm is that of its start and the distance, at right angles."""
    train = 0.002
    test = train + gap
    start = sum(2 * i * o / (i + o) for i, o in ((64, width), (width, width), (width, 10)))
    return {
        names.DISTANCE: distance,
        names.TRAIN_ERROR: train,
        names.TEST_ERROR: test,
        names.GAP: gap,
        names.GAP_NOISY: (1 - noise) * test + noise * 0.9 - train,
        names.TRAIN_LOSS: 0.0099,
        names.TEST_LOSS: 0.2,
        names.EPOCHS: 20.0,
        names.STEPS: float(STEPS[-1]),
        names.measure("distance_over_sqrt_n"): distance / math.sqrt(n),
        names.measure("param_norm"): start + distance * distance,
    }


def planted_slope(
    slope: float = 0.01,
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    sizes: Sequence[int] = (160, 640),
    noises: Sequence[float] = (0.0, 0.2, 0.4),
    seeds: int = 4,
    between: float = -0.03,
    sd: float = 0.002,
) -> list[Planted]:
    """gap = level of the group + slope * (distance - the group's) + noise, with the opposite slope between groups."""
    rng = np.random.default_rng(7)
    runs = []
    for (n_index, n), noise, width in product(enumerate(sizes), noises, widths):
        centre = 4 + 2 * n_index + 5 * noise
        for seed in range(seeds):
            distance = centre - 0.25 * math.log2(width / widths[0]) + rng.normal(0, 0.05)
            gap = 0.3 + between * (centre - 4) + slope * (distance - centre) + rng.normal(0, sd)
            params = {"model.width": width, "dataset.train_size": n, "noise.level": noise}
            runs.append(Planted(params, metrics(distance, gap, width=width, n=n, noise=noise), seed, sweep="abc123"))
    return runs


def planted_twins(
    ratio: float = 0.9,
    exponent: float = -0.1,
    widths: Sequence[int] = (16, 64),
    sizes: Sequence[int] = (160, 640),
    noises: Sequence[float] = (0.0, 0.4),
    seeds: int = 3,
    spread: float = 0.01,
) -> list[Planted]:
    """Networks and their linearized twins: twin's distance = 4 (width/16)^exponent (n/160)^0.4 e^(0.8 noise), that of
    the network so many times as large; each network with a scatter of its own, each pair with one in common."""
    rng = np.random.default_rng(11)
    runs = []
    for n, noise, width, seed in product(sizes, noises, widths, range(seeds)):
        common = 4 * (width / 16) ** exponent * (n / 160) ** 0.4 * math.exp(0.8 * noise + rng.normal(0, spread))
        for twin in (False, True):
            distance = common * (1.0 if twin else ratio) * math.exp(rng.normal(0, spread))
            gap = 0.1 + 0.3 * noise + 0.05 * twin - 0.02 * math.log2(n / 160) + rng.normal(0, 0.002)
            params = {"model.width": width, "dataset.train_size": n, "noise.level": noise, "model.linearize": twin}
            found = metrics(distance, gap, width=width, n=n, noise=noise)
            found |= {names.measure("lazy_distance"): 1.1 * common}
            runs.append(Planted(params, found, seed, sweep="twins"))
    return runs
