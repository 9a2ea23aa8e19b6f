"""Networks trained in this process, and whether one is the same alone and in a stack."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from initdist import names
from initdist.config.schema import Config
from initdist.data import datasets
from initdist.events import Result
from initdist.stacks import outline
from initdist.training import job
from initdist.training.observer import Trained

CPU = torch.device("cpu")


def must(holds: Any, rule: str) -> None:
    if not holds:
        raise AssertionError(rule)


@contextmanager
def global_state(seed: int) -> Iterator[None]:
    """The global generators seeded for a while: what is drawn from them is another with another seed."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


def train(configs: Sequence[Config], device: torch.device = CPU) -> list[Trained]:
    """Train one stack in this process; the networks' ends in the order of the configs."""
    ended = [event for event in job.train(configs, device) if isinstance(event, Trained)]
    assert sorted(one.network for one in ended) == list(range(len(configs)))
    return sorted(ended, key=lambda one: one.network)


def facts(result: Result) -> dict[str, Any]:
    """Everything of a result that must not depend on the stack or the machine: not its time."""
    return {
        "stop_reason": result.stop_reason,
        "step": result.step,
        "metrics": result.metrics,
        "history": result.history,
        "theta0": result.theta0,
    }


def assert_same(one: Trained, other: Trained) -> None:
    """Equal bit for bit: parameters, metrics, history (NaN equals NaN)."""
    assert one.parameters.keys() == other.parameters.keys()
    for name, values in one.parameters.items():
        assert values.numpy().tobytes() == other.parameters[name].numpy().tobytes(), name
    assert repr(facts(one.result)) == repr(facts(other.result))


def trains(config: Config, name: str) -> None:
    """Alone as in a stack, whatever the global generators hold."""
    job.check_options()
    about = datasets.describe(config.dataset)
    job.check_results(config, outline.module(config.model, about.input_shape, about.classes), about)
    configs = [copy.deepcopy(config) for _ in range(3)]
    for seed, one in enumerate(configs):
        one.seed = one.seeds.init = one.seeds.data = one.seeds.noise = one.seeds.order = seed
    with global_state(1):
        together = train(configs)
    with global_state(2):
        (alone,) = train(configs[1:2])
    for ended in together:
        must(0 < ended.result.metrics[names.DISTANCE] < math.inf, f"{name} must move the parameters, in place")
    try:
        assert_same(alone, together[1])
    except AssertionError as error:
        raise AssertionError(
            f"a network with {name} must be the same alone and in a stack: by itself, of streams of its seeds: {error}"
        ) from None
