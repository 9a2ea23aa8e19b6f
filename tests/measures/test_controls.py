"""Other parameters of the same function: what they compute, and how far they are."""

from __future__ import annotations

import itertools

import pytest
import torch
from helpers import CPU, tiny

from initdist import measures
from initdist.measures import controls
from initdist.stacks import stack
from initdist.stacks.stack import Parameters, Stack
from tests.measures.subjects import HAND, changed, trained, value


def distance(one: Parameters, other: Parameters) -> float:
    return sum(((p - other[name]).double() ** 2).sum().item() for name, p in one.items()) ** 0.5


@pytest.mark.parametrize("kind", ["mlp", "mlp, one hidden layer", "mlp, no biases", "mlp, ntk", "linear"])
def test_the_function_stays_and_the_distance_does_not(kind: str) -> None:
    subject = trained(kind)
    inputs, _ = subject.data.train_slice(0, 32)
    before = subject.trained.forward(inputs)
    parameters = subject.trained.parameters
    widths = [p.shape[1] for p in parameters.values() if p.dim() > 2][:-1]
    orders = [torch.randperm(width, generator=torch.Generator().manual_seed(1)) for width in widths]
    for other in (controls.rescaled(parameters), controls.permuted(parameters, orders)):
        after = Stack(subject.trained.model, other, subject.trained.reference).forward(inputs)
        assert torch.allclose(after, before, rtol=1e-4, atol=1e-5 * before.abs().max().item())
    own = [distance(subject.trained.network(i), subject.initial.network(i)) for i in range(3)]
    for name in ("rescaled_distance", "permuted_distance"):
        found = measures.compute([name], subject)[name, None].tolist()
        assert all(away > 1.2 * here for away, here in zip(found, own, strict=True)), name


def test_a_rescaled_network_by_hand() -> None:
    """W_1 = 2 [[3, 0], [0, 0]], W_2 = [[2, 3], [0, 2]] / 2 from Z_1 = I, Z_2 = 2 I."""
    assert value("rescaled_distance") == pytest.approx((25 + 1 + 1 + 2.25 + 1) ** 0.5)


def test_the_mean_over_all_permutations_is_that_over_all_permutations() -> None:
    """Of two hidden layers of three units: 36 permutations, with biases."""
    configs = [tiny({"model.width": 3, "model.depth": 2, "seed": seed}) for seed in (0, 1)]
    built = stack.build(configs, (1, 2, 2), 3, CPU)
    noise = torch.Generator().manual_seed(0)
    moved = {name: p + torch.randn(p.shape, generator=noise) for name, p in built.parameters.items()}
    start = {name: p + 0.1 * torch.randn(p.shape, generator=noise) for name, p in built.parameters.items()}
    subject = changed(HAND, Stack(built.model, moved), Stack(built.model, start))
    found = controls.permuted_distance(subject)
    orders = [torch.tensor(order) for order in itertools.permutations(range(3))]
    for i in range(2):
        one, other = ({name: p[i : i + 1] for name, p in part.items()} for part in (moved, start))
        squares = [
            distance(controls.permuted(one, list(both)), other) ** 2 for both in itertools.product(orders, repeat=2)
        ]
        assert found[i].item() == pytest.approx((sum(squares) / 36) ** 0.5)
