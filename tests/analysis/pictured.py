"""Planted worlds whose figures are hard to draw, and the figures as the analysis hands them to be drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Metric
from worlds import STEPS, Planted, Store, metrics

from initdist import names
from multirun_analysis import stats
from multirun_analysis.figures import Drawing, drawings, sampled_runs
from multirun_analysis.labels import HISTORIES
from multirun_analysis.runs.exclusions import exclude
from multirun_analysis.runs.read import Source, networks_of, read_histories, read_records

LONG = "a_folder_of_images_with_a_long_name_of_its_own"
LEVELS = {"dataset.name": ("digits", "mnist"), "noise.level": (0.0, 0.4), "model.width": (16, 64, 256)}
UNEVEN = (4, 5, 6, 64, 65, 1000, 1024, 2048)  # more than have room under an axis
MANY = tuple(level / 10 for level in range(7))
WORLDS: dict[str, tuple[dict[str, Sequence[Any]], int]] = {
    "two datasets, two noises, three widths": (LEVELS, 3),
    "two seeds": ({**LEVELS, "dataset.train_size": (160, 320)}, 2),
    "many levels": ({"dataset.name": ("digits", LONG), "noise.level": MANY, "model.width": UNEVEN}, 1),
    "long levels": ({"dataset.name": ("digits", LONG, f"{LONG}_{LONG}"), "model.width": (16, 64, 256)}, 3),
    "two networks": ({"model.width": (64, 96)}, 1),
}
ORDINARY, TWO_SEEDS = "two datasets, two noises, three widths", "two seeds"


def world(folder: Path, name: str) -> Store:
    """Levels far apart: mnist has several times the distances, the gaps and the errors of digits."""
    store, rng = Store(folder), np.random.default_rng(3)
    levels, seeds = WORLDS[name]
    runs = []
    for number, (values, seed) in enumerate(product(product(*levels.values()), range(seeds))):
        params = dict(zip(levels, values, strict=True))
        found = _network(params, rng)
        runs.append(Planted(params, _extreme(found, number) if name == TWO_SEEDS else found, seed))
    slow = name == "two networks"  # its loss stays within a decade
    for run_id in store.add(runs):
        losses = [(0.9 if slow else 2.3) * (1 + step) ** (-0.2 if slow else -1.1) for step in STEPS]
        store.client.log_batch(
            run_id, metrics=[Metric(names.TRAIN_LOSS, loss, 0, step) for loss, step in zip(losses, STEPS, strict=True)]
        )
    return store


def _network(params: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
    level, width, n = params.get("noise.level", 0.0), params["model.width"], params.get("dataset.train_size", 1280)
    other = params.get("dataset.name", "digits") != "digits"
    distance = (4 + 9 * other + 6 * level) * (n / 1280) ** 0.4 * (width / 16) ** -0.15 * math.exp(rng.normal(0, 0.03))
    gap = min(0.97, (0.04 + 0.5 * other + 0.6 * level) * (width / 16) ** -0.1 * math.exp(rng.normal(0, 0.04)))
    found = metrics(distance, gap, width=width, n=n, noise=level)
    layers = {names.measure(f"{names.DISTANCE}/layer{k}"): distance / math.sqrt(k) for k in (1, 2, 10)}
    large = {names.measure("log_prod_of_spec_over_margin"): 10 * gap, names.measure("spectral"): 1e100 * distance**5}
    parts = (("init_ball", "init_ball/first_order", "init_ball/theorem", "init_ball/lower", "init_ball/upper"),
             ("origin_ball", "origin_ball/closed_form"))  # fmt: skip
    capacities = {
        names.measure(f"capacity_{part}"): (3 + other) * (1 + k) * (width / 16) ** exponent
        for exponent, listed in zip((0.02, 0.4), parts, strict=True)
        for k, part in enumerate(listed)
    }
    return found | layers | large | capacities


def _extreme(found: dict[str, float], number: int) -> dict[str, float]:
    """Seeds so far apart that intervals reach below 0; networks that did not move; errors at both ends; an infinity."""
    factor = 0.4 if number % 2 else 1.6
    changed = {name: value * factor for name, value in found.items() if names.DISTANCE in name}
    if number < 2:
        changed = dict.fromkeys(changed, 0.0)
    ends = {names.TEST_ERROR: float(number % 5 == 0), names.TRAIN_ERROR: 0.0} if number < 10 else {}
    infinite = {names.measure("spectral"): math.inf} if number == 5 else {}
    return found | changed | ends | infinite


def pictures(store: Store, target: str = names.GAP_NOISY) -> list[Callable[[], Drawing]]:
    """What the analysis of a store would draw."""
    networks = exclude(networks_of(read_records(store.uri, "initdist"), Source(store.uri, "initdist")), target)
    with np.errstate(all="ignore"):  # other tests judge the statistics
        results = stats.analyze(networks.used, networks.params, target)
    histories = read_histories(store.uri, sampled_runs(networks.used, results.design), HISTORIES)
    return drawings(networks.used, results, histories)
