"""Subjects of measures with known values, and networks that were really trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from initdist import measures
from initdist.data import stack_data
from initdist.measures import MeasureInputs
from initdist.stacks import stack
from initdist.stacks.losses import LOSSES
from initdist.stacks.stack import Parameters, Stack
from tests.helpers import CPU, blobs, make, tiny, train


def samples(inputs: Sequence[Sequence[float]], labels: Sequence[int], classes: int = 2) -> stack_data.StackData:
    """Training data of one network, taken as it is: inputs [m, d] as images of 1 x 1 x d."""
    m, d = np.shape(inputs)
    about = blobs("given", (1, 1, d), m, 1, classes).describe(None)
    shared = stack_data.Shared(
        about,
        torch.tensor(inputs).float().view(m, 1, 1, d),
        torch.zeros(1, 1, 1, d),
        torch.zeros(1, dtype=torch.int64),
        np.array(labels),
        np.zeros((2, m, 1)),
    )
    return stack_data.StackData(
        shared, torch.arange(m)[None], torch.tensor([labels]), torch.zeros(1, 1), torch.ones(1, 1)
    )


def linear(
    weight: Sequence[Sequence[float]],
    bias: Sequence[float] | None,
    given: stack_data.StackData,
    options: Mapping[str, Any] | None = None,
    loss: str = "cross_entropy",
    seed: int = 0,
) -> MeasureInputs:
    """A linear classifier with this weight [C, d] and bias [C], moved there from zero."""
    classes, d = np.shape(weight)
    changes = {"model.depth": 0, "model.bias": bias is not None}
    config = make({**changes, **{f"measures.{key}": value for key, value in (options or {}).items()}}, "model=linear")
    model = stack.build([config], (1, 1, d), classes, CPU).model
    parameters = {"1.weight": torch.tensor([weight]).float()}
    if bias is not None:
        parameters["1.bias"] = torch.tensor([bias]).float()
    zero = {name: torch.zeros_like(p) for name, p in parameters.items()}
    return MeasureInputs(
        Stack(model, parameters), Stack(model, zero), given, LOSSES[loss].loss, config.measures, (seed,)
    )


@cache
def trained(model: str = "mlp", networks: int = 3, overrides: tuple[tuple[str, Any], ...] = ()) -> MeasureInputs:
    """Networks that fit 100 digits, each with its own seed and 0.2 of its labels redrawn."""
    small = {"stop.max_epochs": 30, "noise.level": 0.2, "optimizer.lr": 0.1, "optimizer.batch_size": 20}
    if model in ("cnn", "resnet"):
        small |= {"model.width": 4, "stop.max_epochs": 5}
    if model == "resnet":
        small |= {"model.stages": 2}
    chosen = [tiny({**small, **dict(overrides), "seed": seed}, f"model={model}") for seed in range(networks)]
    ends = train(chosen)
    initial = stack.build(chosen, (1, 8, 8), 10, CPU)
    parameters = {name: torch.stack([one.parameters[name] for one in ends]) for name in initial.parameters}
    seeds = tuple(one.seeds.init for one in chosen)
    loss = LOSSES[chosen[0].loss.name].loss
    return MeasureInputs(
        replace(initial, parameters=parameters), initial, stack_data.build(chosen, CPU), loss, chosen[0].measures, seeds
    )


def part(subject: MeasureInputs, *positions: int) -> MeasureInputs:
    """The subject of these of its networks, with nothing computed yet."""
    index = torch.tensor(positions)
    return MeasureInputs(
        subject.trained.select(index),
        subject.initial.select(index),
        subject.data.select(index),
        subject.loss,
        subject.options,
        tuple(subject.seeds[i] for i in positions),
    )


def fresh(subject: MeasureInputs, **changes: Any) -> MeasureInputs:
    """The same subject with nothing computed yet; changes are those of its fields, and of its options by their keys."""
    own = {key: value for key, value in changes.items() if key in MeasureInputs.__dataclass_fields__}
    options = replace(subject.options, **{key: value for key, value in changes.items() if key not in own})
    return replace(subject, **{"options": options, **own})


def values(subject: MeasureInputs, *selection: str) -> dict[tuple[str, str | None], list[float]]:
    return {key: value.tolist() for key, value in measures.compute(selection, subject).items()}


def permuted(one: Stack, order: torch.Tensor) -> Stack:
    """The same functions, with the units of the first hidden layer of an mlp in another order."""
    parameters: Parameters = {name: p.clone() for name, p in one.parameters.items()}
    for key in ("1.weight", "1.bias"):
        parameters[key] = parameters[key][:, order]
    parameters["3.weight"] = parameters["3.weight"][:, :, order]
    return replace(one, parameters=parameters)
