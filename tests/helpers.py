"""What the tests share: configs without a command line, synthetic data, training in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from initdist.cli.compose import composed
from initdist.config import expansion, families, schema, stops
from initdist.config.schema import Config
from initdist.data import stack_data
from initdist.data.datasets import DATASETS, Arrays, Description
from initdist.events import Leave, Progress, ToTrain
from initdist.testing import CPU, assert_same, facts, train  # noqa: F401 - shared too


@cache
def _groups(choices: tuple[str, ...]) -> DictConfig:
    return composed(*choices)


def unresolved(changes: dict[str, Any] | None = None, *choices: str) -> DictConfig:
    """As `composed`, with leaf values changed in place; choices are those of config groups (`loss=squared_error`)."""
    cfg = _groups(choices).copy()
    for key, value in (changes or {}).items():
        OmegaConf.update(cfg, key, value)
    return cfg


def make(changes: dict[str, Any] | None = None, *choices: str) -> Config:
    """The config of one network."""
    (one,) = expansion.networks(unresolved(changes, *choices))
    return one


# Where a stackable axis has an effect, if not everywhere: changes of the default config and choices of groups.
AROUND: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "optimizer.momentum": ({}, ("optimizer=momentum",)),
    "optimizer.beta1": ({}, ("optimizer=adam",)),
    "optimizer.beta2": ({}, ("optimizer=adam",)),
    "optimizer.eps": ({}, ("optimizer=adam",)),
    "optimizer.schedule_epochs": ({"optimizer.schedule": "step"}, ()),
    "optimizer.schedule_factor": ({"optimizer.schedule": "step", "optimizer.schedule_epochs": 1}, ()),
    "constraint.radius": ({}, ("constraint=init_ball",)),
    "constraint.of_free": ({}, ("constraint=init_ball",)),
    "constraint.decay": ({}, ("constraint=init_decay",)),
    "stop.margin": ({"stop.fraction": 0.5}, ()),
    "stop.fraction": ({"stop.margin": 0.5}, ()),
}


# Key -> rule: the fields of the stopping rules, whichever there are.
OF_STOPS = {
    f"stop.{spec.name}": spec.metadata["rule"] for config in stops.configs() for spec in dataclasses.fields(config)
}


def axis_values(key: str) -> tuple[float, float]:
    """Two values that a stackable axis accepts, by its type, and by its rule if it is of a stopping rule."""
    values = (2, 3) if schema.STACKABLE[key] is int else (0.25, 0.75, 2.5, 7.5)
    rule = OF_STOPS.get(key)
    one, other, *_ = (value for value in values if rule is None or rule.holds(value))
    return one, other


# A network that trains in a fraction of a second.
TINY = {"model.width": 16, "model.depth": 1, "dataset.train_size": 100, "device": "cpu", "stop.max_epochs": 3}


def tiny(changes: dict[str, Any] | None = None, *choices: str) -> Config:
    return make(TINY | (changes or {}), *choices)


def to_train(configs: Sequence[Config], weights: Sequence[object] = ()) -> list[ToTrain]:
    """As a training process is told of them: named by their positions, with files for their weights."""
    files = map(str, weights or [""] * len(configs))
    return [ToTrain(str(i), config, file) for i, (config, file) in enumerate(zip(configs, files, strict=True))]


class Heard(list[Any]):
    """The connection of a training process: what it sends, in order. Its parent says nothing, or once to leave."""

    send = list.append

    def __init__(self, leave_after: int | None = None) -> None:
        super().__init__()
        self.leave_after = leave_after  # epochs

    def poll(self) -> bool:
        return len([event for event in self if isinstance(event, Progress)]) == self.leave_after

    def recv(self) -> Leave:
        return Leave()


def blobs(name: str, shape: tuple[int, int, int], pool: int, test: int, classes: int = 10) -> ModuleType:
    """A dataset module of noisy class centres, as `initdist.data.datasets` would hold it."""
    module = ModuleType(f"initdist.data.datasets.{name}")

    def describe(config: object) -> Description:
        return Description(name, f"{name}/1", "tests", shape, classes, pool, test)

    def load(config: object) -> Arrays:
        random = np.random.default_rng(0)
        centres = random.random((classes, *shape))
        labels = random.integers(0, classes, pool + test)
        inputs = (0.5 * centres[labels] + 0.5 * random.random((pool + test, *shape))).astype(np.float32)
        return Arrays(inputs[:pool], labels[:pool], inputs[pool:], labels[pool:], scale=1.0)

    module.describe, module.load = describe, load  # type: ignore[attr-defined]
    return module


@contextmanager
def dataset(module: ModuleType) -> Iterator[str]:
    """A dataset that the registry knows for a while; gives its name."""
    known = families.found("datasets")
    name = module.__name__.rpartition(".")[2]
    assert name not in known
    known[name] = module
    try:
        yield name
    finally:
        del known[name]
        DATASETS._made.pop(name, None)
        stack_data._load.cache_clear()
