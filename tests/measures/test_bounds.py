"""Bounds on a network worked by hand (see `subjects`), their behaviour, and the full values."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from initdist import measures
from initdist.measures import REGISTRY
from tests.measures import searched
from tests.measures.subjects import FOUR, HAND, parameters, samples, select, trained, two, value

# m = 4, C = h = d = 2, gamma = 6, ||X||_F = 4, rms ||x|| = 2, max ||x||^2 = 8, L_gamma = 2 / 4, delta = 0.05.
# s = 3, 4; rows of D_1: 2, 1 and of D_2: 3, 0, so ||D_k^T||_{2,1} = 3, 3; ||D_k||_F^2 = 5, 9; ||W_k||_F^2 = 9, 17.
# u_j - z_j: 2, 1; columns of W_2: (2, 0), (3, 2); z_1 X = (1, 1, 2, 2), z_2 X = (1, 1, 2, 0); ||Z_1||_2 = 1.
DELTA = 0.05
GOLOWICH = 2 * (math.sqrt(4 * math.log(2)) + 1) * 3 * math.sqrt(17) / math.sqrt(4)  # all but 1 / gamma
UNITWISE = 2 * (2 * 4 + math.sqrt(10)) + math.sqrt(13) * (1 * 4 + math.sqrt(6))
BARTLETT_LOGS = (
    math.log(1 / DELTA)
    + math.log(8 / 6)
    + 2 * math.log(2 + 4)
    + 2 * math.log((2 + 2 * 3) * (2 + 2 * 3))  # L = 2 layers times 3, and 3 again
    + 2 * math.log((2 + 2 * 3) * (2 + 2 * 4))
)
# 1/L = 1/2: (1/2 + 3) (1/2 + 4) and (1/2 + 3) (1/2 + 3)
BARTLETT_SUM = ((3.5 * 4.5) ** (2 / 3) + (3.5 * 3.5) ** (2 / 3)) ** 1.5
KL = 42**2 * 8 * 2**2 * 2 * math.log(4 * 2 * 2) / (2 * 6**2) * 12**2 * (5 / 9 + 9 / 16)
BY_HAND = {
    "bartlett": 4 / (6 * 4) * 3 * 4 * ((3 / 3) ** (2 / 3) + (3 / 4) ** (2 / 3)) ** 1.5 * math.log(2),
    "bartlett_full": 0.5
    + 8 / 4
    + 144 * math.log(4) * math.log(2 * 2) * (1 + 4) / (6 * 4) * BARTLETT_SUM
    + math.sqrt(9 / 8 * BARTLETT_LOGS),
    "neyshabur_2018": 2 * 2 * math.sqrt(2 * math.log(4)) / (6 * 2) * 12 * math.sqrt(5 / 9 + 9 / 16),
    "neyshabur_2018_full": 0.5 + 4 * math.sqrt((KL + math.log(6 * 4 / DELTA)) / 3),
    "golowich": GOLOWICH / 6,
    "golowich_full": 0.5 + 4 * 2 * GOLOWICH / 6 + 3 * math.sqrt(math.log(40) / 8),
    "neyshabur_2019": (math.sqrt(2) * math.sqrt(17) * (1 + math.sqrt(5)) * 2 / 6 + math.sqrt(2)) / 2,
    "neyshabur_2019_full": 0.5
    + 3 * math.sqrt(2) * (math.sqrt(4) + 1) * (math.sqrt(17) + 1) * (math.sqrt(5) * 2 + math.sqrt(16 / 4) + 1) / (6 * 2)
    + 3 * math.sqrt((5 * 2 + math.log(6 * 2 / DELTA)) / 4),
    "neyshabur_2019_unitwise": UNITWISE / (6 * 4),
    "neyshabur_2019_unitwise_full": 0.5
    + 2 * (2 * math.sqrt(4) + 2) * UNITWISE / (6 * 4)
    + 3 * math.sqrt(math.log(2 / DELTA) / 8),
}
TERMS = [name for name in BY_HAND if not name.endswith("_full")]


def test_bounds_by_hand() -> None:
    values = measures.compute(["bounds"], HAND)
    assert values.keys() == {(name, None) for name in BY_HAND}
    for name, expected in BY_HAND.items():
        assert values[name, None].tolist() == pytest.approx([expected], rel=1e-6), name


def test_the_unit_wise_bound_is_the_sharper_one() -> None:
    """By Cauchy and Schwarz, with ||Z_1 X||_F <= ||Z_1||_2 ||X||_F, on trained networks."""
    values = measures.compute(["neyshabur_2019", "neyshabur_2019_unitwise"], trained("mlp, one hidden layer"))
    rough = values["neyshabur_2019", None] - math.sqrt(16 / 64)
    assert (values["neyshabur_2019_unitwise", None] * math.sqrt(10) < rough).all()


@pytest.mark.parametrize("name", BY_HAND)
def test_a_full_value_is_above_the_margin_loss_and_its_term(name: str) -> None:
    """Vacuous: none of these networks has a full value below 1."""
    subject = trained("mlp, one hidden layer")
    values = measures.compute([name], subject)[name, None]
    assert (values > 0).all()
    if name.endswith("_full"):
        assert (values > 1).all()
        term = name.removesuffix("_full")
        assert (values > measures.compute([term], subject)[term, None]).all()
        assert (values > subject.margin_loss).all()


@pytest.mark.parametrize("name", TERMS)
def test_a_bound_falls_with_the_margin(name: str) -> None:
    """Without its samples of small margin the training set has a larger gamma, and otherwise larger inputs alone."""
    few = samples([[2, 2], [2, 0]] * 2, [0, 0, 0, 0])
    larger = dataclasses.replace(HAND, data=few)
    assert (HAND.gamma.item(), larger.gamma.item()) == (6, 12)
    grown = [subject.input_norms[0].item() for subject in (HAND, larger)]
    assert value(name, larger) < value(name, HAND) * grown[1] / grown[0]


@pytest.mark.parametrize("name", [name for name in TERMS if name != "neyshabur_2019"])
def test_more_samples_alike_shrink_a_bound_by_their_root(name: str) -> None:
    """The same samples four times over: ||X||_F doubles and m grows by 4, gamma stays."""
    inputs, labels = FOUR.shared.pool_inputs.flatten(1).tolist(), FOUR.labels[0].tolist()
    four = dataclasses.replace(HAND, data=samples(inputs * 4, labels * 4))
    assert four.gamma.item() == 6
    assert value(name, four) == pytest.approx(value(name, HAND) / 2)


def test_a_dead_layer_leaves_the_bounds_what_they_are() -> None:
    """W_1 = 0 gives gamma = 0; a zero D_k drops out of the sums."""
    half = dataclasses.replace(HAND, trained=two(parameters([[3, 0], [0, 0]], [[2, 0], [0, 2]])))
    # D_2 = 0, s = 3, 2: gamma = min of 6 x_1 = 6
    assert value("bartlett", half) == pytest.approx(4 / 24 * math.log(2) * 3 * 2)
    assert value("neyshabur_2018", half) == pytest.approx(4 * math.sqrt(2 * math.log(4)) / 12 * 6 * math.sqrt(5 / 9))


def test_bounds_see_the_inputs_as_the_network_does() -> None:
    """Normalized: the rms norm of standardized digits is 8 pixels times 1, up to what is blank."""
    subject = select(trained("mlp"), 0)
    inputs = torch.cat([inputs for inputs, _ in subject.slices()], dim=1)[0].flatten(1).double()
    total, largest = (norm.item() for norm in subject.input_norms)
    assert total == pytest.approx(inputs.norm().item())
    assert largest == pytest.approx(inputs.norm(dim=1).max().item())
    assert total / math.sqrt(64) == pytest.approx(8, rel=1e-4)


def test_h_bounds_the_outputs_of_every_layer() -> None:
    """Digits have ten classes, more than four units and fewer than sixteen: h = 10 and 16."""
    for width, largest in ((4, 10), (16, 16)):
        changes = {"model.width": width, "noise.level": 0.0, "optimizer.lr": 0.2, "stop.max_epochs": 100}
        subject = searched.trained("mlp", 1, tuple(changes.items()))
        assert subject.gamma.item() > 0
        m, d, gamma = subject.data.train_size, 2, subject.gamma.item()
        norms = [s.item() for s in subject.spectral_norms.values()]
        moved = [f.item() for f in subject.frobenius_distances.values()]
        sums = math.sqrt(sum((f / s) ** 2 for f, s in zip(moved, norms, strict=True)))
        size = subject.input_norms[0].item() / math.sqrt(m)
        term = size * d * math.sqrt(largest * math.log(d * largest)) * math.prod(norms) * sums / (gamma * math.sqrt(m))
        assert value("neyshabur_2018", subject) == pytest.approx(term, rel=1e-6)
        kl = (42 * subject.input_norms[1].item() * d * math.prod(norms) * sums / gamma) ** 2
        kl *= largest * math.log(4 * d * largest) / 2
        full = subject.margin_loss.item() + 4 * math.sqrt((kl + math.log(6 * m / DELTA)) / (m - 1))
        assert value("neyshabur_2018_full", subject) == pytest.approx(full, rel=1e-6)


def test_every_bound_is_tested_by_hand() -> None:
    assert set(BY_HAND) == {name for name, one in REGISTRY.items() if one.group == "bounds"}
