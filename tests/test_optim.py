"""Optimizers on stacks against their `torch.optim` namesakes."""

from __future__ import annotations

import pytest
import torch
from helpers import CPU, make

from initdist import optim
from initdist.optim import OPTIMIZERS

# Each optimizer: the config choices, and the reference for a network of this config.
REFERENCES = {"sgd": lambda parameters, config: torch.optim.SGD(parameters, lr=config.optimizer.lr)}
RATES = (0.5, 0.01, 0.1)


def test_every_optimizer_has_a_reference() -> None:
    assert set(REFERENCES) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_its_torch_namesake_with_each_networks_own_rate(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    configs = [make({"optimizer.lr": lr}, f"optimizer={name}") for lr in RATES]
    shapes = {"weight": (4, 3), "bias": (4,)}
    stacked = {key: torch.randn(len(configs), *shape, generator=generator) for key, shape in shapes.items()}
    target = {key: torch.randn(len(configs), *shape, generator=generator) for key, shape in shapes.items()}
    singles = [
        {key: values[i].clone().requires_grad_() for key, values in stacked.items()} for i in range(len(configs))
    ]
    references = [REFERENCES[name](one.values(), config) for one, config in zip(singles, configs, strict=True)]
    ours = optim.build(configs, CPU)
    for step in range(20):
        if step == 10:  # from here only the last and the first network go on
            keep = torch.tensor([2, 0])
            ours = ours.select(keep)
            stacked, target = ({k: v[keep] for k, v in values.items()} for values in (stacked, target))
            singles, references = ([values[i] for i in keep] for values in (singles, references))
        ours.step(stacked, {key: stacked[key] - target[key] for key in shapes})
        for i, (one, reference) in enumerate(zip(singles, references, strict=True)):
            for key, values in one.items():
                values.grad = (values - target[key][i]).detach()
            reference.step()
    for i, one in enumerate(singles):
        for key, values in one.items():
            assert stacked[key][i].numpy() == pytest.approx(values.detach().numpy(), abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_in_place_and_a_network_without_a_gradient_stays(name: str) -> None:
    configs = [make({"optimizer.lr": lr}, f"optimizer={name}") for lr in RATES]
    values = torch.ones(3, 2, 2)
    gradients = torch.ones(3, 2, 2)
    gradients[1] = 0
    optim.build(configs, CPU).step({"weight": values}, {"weight": gradients})
    assert torch.equal(values[1], torch.ones(2, 2))
    assert (values[[0, 2]] < 1).all()
