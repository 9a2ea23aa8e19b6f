"""A tracking store as a large study leaves it, written in seconds: MLflow makes the tables, rows go in directly."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from pathlib import Path

import numpy as np
from mlflow import MlflowClient

from initdist import names

LEVELS = {
    "model.width": (32, 64, 128, 256, 512),
    "model.depth": (1, 2, 3, 4),
    "dataset.train_size": (160, 320, 640, 1280, 2560),
    "noise.level": (0.0, 0.1, 0.2, 0.35, 0.5),
    "optimizer.lr": (0.03, 0.1),
}
SEEDS = 10  # 10,000 networks in all; fewer take part of the configurations
STEPS = sorted({round(1.45**k) for k in range(25)})
LAYERS = ("layer1", "layer2", "layer3")
LAYERED = ("distance_from_init", "spectral_norm", "spectral_distance", "frobenius_norm")


def make(folder: Path, networks: int, measures: int = 60, seeds: int = SEEDS, most: int = 0) -> str:
    """The URI of a new store with one sweep of so many networks, each with 40 params, histories and measures.

    `seeds` of each configuration; of one configuration, `most`.
    """
    folder.mkdir(parents=True)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("initdist", artifact_location=(folder / "mlartifacts").as_uri())
    rng = np.random.default_rng(0)
    cells = list(itertools.product(*LEVELS.values()))
    places = np.linspace(0, len(cells) - 1, math.ceil((networks - most) / seeds)).round().astype(int)
    grid = [(*cells[i], seed) for i in places for seed in range(seeds)][: networks - most]
    grid += [(*cells[0], seeds + seed) for seed in range(most)]
    parent = client.create_run(experiment, tags={names.KIND: names.KIND_SWEEP, names.SWEEP: "generated"})
    identities = [{"identity": f"{i:064x}", "name": f"network {i}"} for i in range(networks)]
    client.log_dict(parent.info.run_id, {"sweep": "generated", "networks": identities}, names.NETWORKS_FILE)
    client.set_terminated(parent.info.run_id)
    connection = sqlite3.connect(folder / "mlflow.db")
    with connection:
        for first in range(0, networks, 500):
            _insert(connection, experiment, parent.info.run_id, grid[first : first + 500], first, measures, rng)
    connection.close()
    return uri


def _insert(
    connection: sqlite3.Connection,
    experiment: str,
    parent: str,
    grid: list[tuple[float, ...]],
    first: int,
    measures: int,
    rng: np.random.Generator,
) -> None:
    runs, params, tags, latest, history = [], [], [], [], []
    for number, row in enumerate(grid, start=first):
        run = f"{number:032x}"
        settings = dict(zip((*LEVELS, "seed"), row, strict=True))
        begun = 1_700_000_000_000 + number
        runs.append((run, f"network {number}", "LOCAL", "", "", "me", "FINISHED", begun, begun + 900, "", "active",
                     f"mlartifacts/{run}/artifacts", experiment))  # fmt: skip
        params += [(key, str(value), run) for key, value in {**_constant(), **settings, "seeds.init": row[-1]}.items()]
        tags += [(key, value, run) for key, value in _tags(number, parent).items()]
        values = _metrics(settings, measures, rng)
        latest += [(key, value, begun, STEPS[-1], 0, run) for key, value in values.items()]
        final = values[names.DISTANCE]
        for step in STEPS:
            share = math.sqrt(step / STEPS[-1])
            history.append((names.DISTANCE, final * share, begun, run, step, 0))
            history.append((names.TRAIN_LOSS, 2.3 * math.exp(-5.4 * share), begun, run, step, 0))
    for table, columns, rows in (
        ("runs", "run_uuid,name,source_type,source_name,entry_point_name,user_id,status,start_time,end_time,"
                 "source_version,lifecycle_stage,artifact_uri,experiment_id", runs),
        ("params", "key,value,run_uuid", params),
        ("tags", "key,value,run_uuid", tags),
        ("latest_metrics", "key,value,timestamp,step,is_nan,run_uuid", latest),
        ("metrics", "key,value,timestamp,run_uuid,step,is_nan", history),
    ):  # fmt: skip
        places = ",".join("?" * len(columns.split(",")))
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)


def _constant() -> dict[str, object]:
    named = {
        "model.name": "mlp", "model.activation": "relu", "model.init": "xavier", "model.init_scale": 1.0,
        "dataset.name": "digits", "noise.name": "labels", "loss.name": "cross_entropy", "optimizer.name": "sgd",
        "optimizer.batch_size": 64, "stop.train_loss": 0.01, "stop.max_epochs": 1000,
    }  # fmt: skip
    return named | {f"numerics.key_{i}": i for i in range(23)}


def _tags(number: int, parent: str) -> dict[str, str]:
    return {
        names.KIND: names.KIND_NETWORK,
        names.IDENTITY: f"{number:064x}",
        names.STOP_REASON: names.STOP_THRESHOLD,
        names.SWEEP: "generated",
        names.PARENT_RUN: parent,
        names.INPUT_SHAPE: "1x8x8",
        names.CLASSES: "10",
        names.TEST_SIZE: "517",
        names.VERSION: "0.1.0",
        names.MEASURES: json.dumps({"generated_0": {"draws": 10}}),
    }


def _metrics(settings: dict[str, float], measures: int, rng: np.random.Generator) -> dict[str, float]:
    """A gap that rises with the distance within groups, and measures between useless and nearly the gap."""
    n, noise, width = settings["dataset.train_size"], settings["noise.level"], settings["model.width"]
    distance = n**0.25 * (1 + noise) * width**-0.05 * settings["model.depth"] ** 0.3 + rng.normal(0, 0.05)
    gap = 0.02 + 0.4 * noise + 3 / n + 0.01 * distance + rng.normal(0, 0.005)
    values = {
        names.DISTANCE: distance, names.TRAIN_LOSS: 0.0099, names.TEST_LOSS: 0.5, names.TRAIN_ERROR: 0.002,
        names.TEST_ERROR: gap + 0.002, names.GAP: gap, names.GAP_NOISY: (1 - noise) * gap + 0.9 * noise,
        names.EPOCHS: 20.0, names.STEPS: float(STEPS[-1]), names.measure("param_norm"): distance**2 + width,
        **{names.distance_at_loss(loss): distance * (1 - loss) for loss in names.CROSSINGS},
    }  # fmt: skip
    for i in range(measures - 1):
        share = i / measures
        values[names.measure(f"generated_{i}")] = share * gap * 10 + (1 - share) * rng.normal(1, 0.3)
    for name in LAYERED:
        values |= {names.measure(name, layer): distance * rng.uniform(0.3, 0.7) for layer in LAYERS}
    return values
