"""Networks to measure: two by hand, and stacks of trained ones of every model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from initdist import measures
from initdist.config.schema import Config, MeasuresConfig
from initdist.data import stack_data
from initdist.measures import MeasureInputs
from initdist.stacks import stack
from initdist.stacks.stack import Parameters, Stack
from tests.helpers import CPU, blobs, make, tiny, train

Matrix = Sequence[Sequence[float]]


def parameters(first: Matrix, second: Matrix, biases: Sequence[float] = (0, 0, 0, 0)) -> Parameters:
    """A 2-2-2 network with these weights; its four biases in order."""
    values = {
        "1.weight": torch.tensor([first]),
        "1.bias": torch.tensor([biases[:2]]),
        "3.weight": torch.tensor([second]),
        "3.bias": torch.tensor([biases[2:]]),
    }
    return {name: tensor.float() for name, tensor in values.items()}


def two(values: Parameters, *choices: str, **changes: Any) -> Stack:
    """A stack of networks of 2 inputs, 2 hidden units and 2 classes."""
    config = make({"model.width": 2, "model.depth": 1} | {f"model.{key}": v for key, v in changes.items()}, *choices)
    return Stack(stack.build([config], (1, 1, 2), 2, CPU).model, values)


def samples(inputs: Matrix, labels: Sequence[int], networks: int = 1) -> stack_data.StackData:
    """Training data of 2 inputs each, the same for every network, taken as it is."""
    about = blobs("two", (1, 1, 2), len(labels), 1, 2).describe(None)
    shared = stack_data.Shared(
        about,
        torch.tensor(inputs).float().view(-1, 1, 1, 2),
        torch.zeros(1, 1, 1, 2),
        torch.zeros(1, dtype=torch.int64),
        np.array(labels),
        np.zeros((2, len(labels), 1)),
    )
    rows = torch.arange(len(labels)).repeat(networks, 1)
    given = torch.tensor([labels]).repeat(networks, 1)
    return stack_data.StackData(shared, rows, given, torch.zeros(networks, 1), torch.ones(networks, 1))


# D_1 = [[2, 0], [0, -1]], D_2 = [[0, 3], [0, 0]].
INITIAL = parameters([[1, 0], [0, 1]], [[2, 0], [0, 2]])
TRAINED = parameters([[3, 0], [0, 0]], [[2, 3], [0, 2]])
# f_0(x) = 2 ReLU(x), f(x) = (6 ReLU(x_1), 0): the margins are 6, 6, 12, 12, and gamma the smallest of them.
# ||X||_F^2 = 2 + 2 + 8 + 4 = 16, so that the root mean square of ||x|| is 2.
FOUR = samples([[1, 1], [1, 1], [2, 2], [2, 0]], [0, 0, 0, 0])
HAND = MeasureInputs(two(TRAINED), two(INITIAL), FOUR, seeds=(0,))


def value(name: str, subject: MeasureInputs = HAND, layer: str | None = None) -> float:
    """One measure of a subject of one network."""
    return measures.compute([name], subject)[name, layer].item()


# Options with which searches and derivatives of any model take a moment.
CHEAP = {"draws": 3, "subset": 40, "search_tolerance": 0.1, "ascent_steps": 2}
CHEAP |= {"probes": 2, "lanczos_steps": 3, "hessian_subset": 40, "ntk_subset": 20}
CHEAP |= {"capacity_draws": 10, "capacity_starts": 2, "capacity_steps": 4}

# One kind of network for each model and for what else measures depend on.
KINDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "mlp": ({"model.depth": 2}, ("model=mlp",)),
    "mlp, one hidden layer": ({}, ("model=mlp",)),
    "mlp, wide": ({"model.width": 150}, ("model=mlp",)),
    "mlp, no biases": ({"model.bias": False}, ("model=mlp",)),
    "mlp, tanh": ({"model.activation": "tanh"}, ("model=mlp",)),
    "mlp, ntk": ({"model.init": "ntk", "model.depth": 2}, ("model=mlp",)),
    "mlp, output_scale": ({"model.output_scale": 2.0}, ("model=mlp",)),
    "mlp, linearized": ({"model.linearize": True}, ("model=mlp",)),
    "linear": ({}, ("model=linear",)),
    "linear, no hidden layer": ({"model.depth": 0}, ("model=linear",)),
    "cnn": ({"model.width": 6, "model.depth": 2}, ("model=cnn",)),
    "resnet": ({"model.width": 8, "model.stages": 2}, ("model=resnet",)),
}


@cache
def trained(kind: str) -> MeasureInputs:
    """A stack of three networks of a kind, trained on digits until few samples are misclassified."""
    chosen = configs(kind)
    ended = train(chosen)
    built = stack.build(chosen, (1, 8, 8), 10, CPU)
    values = {name: torch.stack([one.parameters[name] for one in ended]) for name in built.parameters}
    seeds = [config.seeds.init for config in chosen]
    given = stack_data.build(chosen, CPU)
    crossings = [planted(i) for i in range(len(chosen))]
    trained = Stack(built.model, values, built.reference)
    return MeasureInputs(trained, built, given, options=options(**CHEAP), seeds=seeds, crossings=crossings)


def planted(i: int) -> dict[str, float]:
    """Steps at the crossings of training losses, as if of the i-th network."""
    return {"steps_at_loss/0.1": 20.0 + i, "steps_at_loss/0.01": 50.0 + 3 * i, "distance_at_loss/0.1": 1.5}


def configs(kind: str) -> list[Config]:
    changes, choices = KINDS[kind]
    fixed = {"optimizer.lr": 0.02, "optimizer.batch_size": 16, "dataset.train_size": 64, "history": 0}
    fixed |= {"stop.train_loss": 0.1, "stop.max_epochs": 60}
    return [tiny(fixed | changes | {"seed": seed}, *choices, "optimizer=adam") for seed in range(3)]


def select(subject: MeasureInputs, *positions: int) -> MeasureInputs:
    """The subject of some of the networks."""
    keep = torch.tensor(positions)
    seeds = tuple(subject.seeds[i] for i in positions)
    parts = (subject.trained.select(keep), subject.initial.select(keep), subject.data.select(keep))
    return MeasureInputs(*parts, subject.loss, subject.options, seeds, [subject.crossings[i] for i in positions])


def changed(subject: MeasureInputs, trained: Stack, initial: Stack) -> MeasureInputs:
    return dataclasses.replace(subject, trained=trained, initial=initial)


def options(**chosen: Any) -> MeasuresConfig:
    return MeasuresConfig(**chosen)
