"""The Fisher-Rao norm against per-sample gradients in full, and against its closed form without biases."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad

from initdist import measures
from initdist.measures import MeasureInputs
from initdist.stacks.losses import LOSSES
from tests.measures import searched
from tests.measures.subjects import trained

MODELS: list[tuple[str, dict[str, Any]]] = [
    ("mlp", {}),
    ("mlp", {"model.init": "ntk", "model.activation": "tanh"}),
    ("mlp", {"model.output_scale": 2.0}),
    ("mlp", {"loss.name": "squared_error", "optimizer.lr": 0.01}),
    ("linear", {"model.depth": 0}),
    ("cnn", {"model.downsample": "pool", "model.head": "average"}),
    ("resnet", {}),
]


def per_sample(subject: MeasureInputs, index: int) -> Tensor:
    """Gradients [m, p] of one network's samples in float64, one by one, in the parameters that are trained."""
    model = subject.trained.model
    own, start = (
        {name: p[index].double() for name, p in stack.parameters.items()}
        for stack in (subject.trained, subject.initial)
    )
    inputs, labels = (part[index] for part in subject.data.train_slice(0, subject.data.train_size))

    def plain(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        used = {name: p * model.multipliers.get(name, 1.0) for name, p in parameters.items()}
        return functional_call(model.module, used, (x[None].double(),))

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits = plain(parameters, x)
        if model.output_scale is not None:
            logits = model.output_scale * (logits - plain(start, x))
        return subject.loss(logits, y[None]).sum()

    rows = [grad(loss)(own, x, y) for x, y in zip(inputs, labels, strict=True)]
    return torch.stack([torch.cat([p.flatten() for p in row.values()]) for row in rows])


@pytest.mark.parametrize(("model", "changes"), MODELS)
def test_against_the_gradients_of_single_samples(model: str, changes: dict[str, Any]) -> None:
    subject = searched.trained(model, 2, tuple(changes.items()))
    found = measures.compute(["fisher_rao", "gradient_noise"], subject)
    for index in range(2):
        rows = per_sample(subject, index)
        theta = torch.cat([p[index].double().flatten() for p in subject.trained.parameters.values()])
        assert found["fisher_rao", None][index].item() == pytest.approx((rows @ theta).square().mean().item(), rel=1e-4)
        variance = (rows - rows.mean(0)).square().sum(1).mean().item()
        assert found["gradient_noise", None][index].item() == pytest.approx(variance, rel=1e-4)


def test_without_biases_it_is_the_slope_of_the_loss_along_the_function() -> None:
    """theta grad f = d f for d layers of a homogeneous network, so the norm is d^2 E <dl/df, f>^2."""
    subject = trained("mlp, no biases")
    layers = len(subject.weights)
    (inputs, labels), *rest = subject.slices()
    assert not rest
    logits = subject.trained.forward(inputs).double()
    slopes = logits.softmax(-1) - torch.nn.functional.one_hot(labels, 10)
    expected = layers**2 * (slopes * logits).sum(-1).square().mean(1)
    found = measures.compute(["fisher_rao"], subject)["fisher_rao", None]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_bfloat16_training_is_measured_in_float32() -> None:
    from dataclasses import replace

    from initdist.config.schema import NumericsConfig

    subject = searched.trained()
    coarse = replace(subject.trained.model, numerics=NumericsConfig("bfloat16", True), _recorded={})
    found = searched.values(
        searched.fresh(subject, trained=replace(subject.trained, model=coarse)), "fisher_rao", "gradient_noise"
    )
    assert found == searched.values(searched.fresh(subject), "fisher_rao", "gradient_noise")
    assert subject.loss is LOSSES["cross_entropy"].loss
