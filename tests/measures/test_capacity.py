"""Capacity of balls: against closed forms, brackets and searches that share nothing with the ascent but its signs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from initdist import measures
from initdist.data import stack_data
from initdist.measures import MeasureInputs, _capacity
from initdist.measures._capacity import Draws
from initdist.stacks import stack
from initdist.stacks.stack import Stack
from tests.helpers import CPU, tiny
from tests.measures.subjects import HAND, select, trained

INIT, ORIGIN = "capacity_init_ball", "capacity_origin_ball"


def untrained(networks: int = 2, way: float = 0.2, **changes: Any) -> MeasureInputs:
    """Linear networks, and where a random way from their initialization ends; 100 digits."""
    given = {"dataset.train_size": 100} | {f"model.{key}": value for key, value in changes.items()}
    configs = [tiny(given | {"seed": seed}, "model=linear") for seed in range(networks)]
    initial = stack.build(configs, (1, 8, 8), 10, CPU)
    generator = torch.Generator().manual_seed(0)
    moved = {
        name: p + way * torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5
        for name, p in initial.parameters.items()
    }
    data = stack_data.build(configs, CPU)
    return MeasureInputs(Stack(initial.model, moved), initial, data, seeds=tuple(range(networks)))


def found(subject: MeasureInputs, **options: Any) -> dict[tuple[str, str | None], np.ndarray]:
    """Both measures of a subject with nothing computed yet, with these options of capacity."""
    own = {f"capacity_{key}": value for key, value in options.items()}
    fresh = replace(subject, options=replace(subject.options, **own))
    return {key: value.numpy() for key, value in measures.compute(["capacity"], fresh).items()}


def matrices(one: Stack, network: int) -> list[np.ndarray]:
    return [p[network].double().numpy() for p in one.parameters.values() if p.dim() > 2]


def drawn(subject: MeasureInputs, network: int) -> list[tuple[np.ndarray, int]]:
    """Each draw's (1/m) sum_i xi_i x_i, and its class."""
    draws = Draws.of(subject)
    x = draws.inputs[network].flatten(1).double().numpy()
    signs, classes = draws.signs[network].numpy(), draws.classes[network].tolist()
    return [(xi @ x / len(x), chosen) for xi, chosen in zip(signs, classes, strict=True)]


@pytest.mark.parametrize("subject", [untrained(depth=1), untrained(depth=3, width=40), trained("linear")])
def test_a_linear_network_s_balls_have_their_closed_form_and_lie_in_their_brackets(subject: MeasureInputs) -> None:
    values = found(subject, subset=64)
    size = min(64, subject.data.train_size)
    scale = math.sqrt(size / subject.data.train_size)
    subject = replace(subject, options=replace(subject.options, capacity_subset=64))
    for i in range(len(subject.trained)):
        w, z = matrices(subject.trained, i), matrices(subject.initial, i)
        radii = [np.linalg.norm(a - b) for a, b in zip(w, z, strict=True)]
        exact, lower, upper = [], [], []
        for v, chosen in drawn(subject, i):
            exact.append(np.prod([np.linalg.norm(one) for one in w]) * np.linalg.norm(v))
            layers = [*z[:-1], z[-1][chosen : chosen + 1]]
            each = []
            for k, r in enumerate(radii):
                before, after = v, np.eye(len(layers[-1]))
                for layer in layers[:k]:
                    before = layer @ before
                for layer in reversed(layers[k + 1 :]):
                    after = after @ layer
                each.append(r * np.linalg.norm(before) * (np.linalg.norm(after) if k + 1 < len(layers) else 1))
            lower.append(max(each))
            norms = [np.linalg.norm(layer, 2) for layer in layers]
            whole = np.prod([a + r for a, r in zip(norms, radii, strict=True)]) - np.prod(norms)
            upper.append(whole * np.linalg.norm(v))
        assert values[ORIGIN, None][i] == pytest.approx(scale * np.mean(exact), rel=0.02)
        for key, expected in (((ORIGIN, "closed_form"), exact), ((INIT, "lower"), lower), ((INIT, "upper"), upper)):
            assert values[key][i] == pytest.approx(scale * np.mean(expected), rel=1e-5), key
        assert scale * np.mean(lower) <= values[INIT, None][i] <= scale * np.mean(upper)
        spread = scale * np.std(exact, ddof=1) / math.sqrt(len(exact))
        assert values[ORIGIN, "error"][i] == pytest.approx(spread, rel=0.05)


def small(seed: int = 0, inputs: int = 12) -> MeasureInputs:
    """A ReLU network of 2 inputs, 2 hidden units and 2 classes, trained, as it were, from another."""
    from tests.measures.subjects import parameters, samples, two

    draw = np.random.default_rng(seed)
    points = draw.normal(size=(inputs, 2)).tolist()
    first, second, away, along = (draw.normal(size=(2, 2)) for _ in range(4))
    begin = parameters(first.tolist(), second.tolist())
    end = parameters((first + 0.4 * away).tolist(), (second + 0.4 * along).tolist())
    return MeasureInputs(two(end), two(begin), samples(points, [0, 1] * (inputs // 2)), seeds=(seed,))


@pytest.mark.parametrize("seed", [0, 1])
def test_relu_around_the_origin_is_one_unit_in_the_best_direction(seed: int) -> None:
    """With one hidden layer the supremum is R_1 R_2 max over unit vectors u of |(1/m) sum_i xi_i ReLU(u x_i)|."""
    subject = small(seed)
    angle = np.linspace(0, 2 * np.pi, 20_000)
    x = subject.data.train_slice(0, 12)[0].flatten(2)[0].double().numpy()
    ramps = np.maximum(np.stack([np.cos(angle), np.sin(angle)], axis=1) @ x.T, 0)
    best = np.abs(ramps @ Draws.of(subject).signs[0].numpy().T).max(0) / len(x)
    exact = np.prod([np.linalg.norm(w) for w in matrices(subject.trained, 0)]) * best.mean()
    value = found(subject, starts=6)[ORIGIN, None][0]
    assert 0.98 * exact <= value <= exact * (1 + 1e-5)


def test_relu_around_the_initialization_is_what_another_search_finds() -> None:
    """SLSQP with the balls as constraints, on the six weights, from many starts."""
    subject, draws = small(), Draws.of(small())
    w, z = matrices(subject.trained, 0), matrices(subject.initial, 0)
    radii = [np.linalg.norm(a - b) for a, b in zip(w, z, strict=True)]
    x = draws.inputs[0].flatten(1).double().numpy()
    generator = np.random.default_rng(0)
    best = []
    for signs, chosen in zip(draws.signs[0].numpy(), draws.classes[0].tolist(), strict=True):

        def opposed(way: np.ndarray, signs: np.ndarray = signs, chosen: int = chosen) -> float:
            hidden = np.maximum(x @ (z[0] + way[:4].reshape(2, 2)).T, 0)
            return -float(signs @ hidden @ (z[1][chosen] + way[4:])) / len(x)

        within = [
            {"type": "ineq", "fun": lambda way: radii[0] ** 2 - way[:4] @ way[:4]},
            {"type": "ineq", "fun": lambda way: radii[1] ** 2 - way[4:] @ way[4:]},
        ]
        ends = [minimize(opposed, 0.5 * generator.normal(size=6), constraints=within, method="SLSQP") for _ in range(8)]
        best.append(opposed(np.zeros(6)) - min(end.fun for end in ends if end.success))
    value = found(subject, starts=6, steps=30)[INIT, None][0]
    assert value == pytest.approx(np.mean(best), rel=0.02)


def test_a_radius_of_zero_gives_zero() -> None:
    subject = trained("mlp")
    still = replace(subject, trained=subject.initial)
    values = found(still)
    for layer in (None, "error", "first_order"):
        assert values[INIT, layer].tolist() == [0, 0, 0]
    assert (values[ORIGIN, None] > 0).all()
    nothing = Stack(subject.trained.model, {name: 0 * p for name, p in subject.trained.parameters.items()})
    assert found(replace(subject, trained=nothing))[ORIGIN, None].tolist() == [0, 0, 0]


def test_more_starts_never_lower_it_and_larger_balls_are_not_smaller() -> None:
    subject = trained("mlp")
    few, more = found(subject, starts=1), found(subject, starts=3)
    assert all((more[name, None] >= few[name, None]).all() for name in (INIT, ORIGIN))
    assert any((more[name, None] > few[name, None]).any() for name in (INIT, ORIGIN))

    def moved(factor: float) -> MeasureInputs:
        ends = {name: p + factor * (subject.trained.parameters[name] - p) for name, p in start.items()}
        return replace(subject, trained=Stack(subject.trained.model, ends))

    start = subject.initial.parameters
    sizes = [found(moved(factor))[INIT, None] for factor in (0.1, 0.5, 1.0, 1.5)]
    assert all((larger > smaller).all() for smaller, larger in pairwise(sizes))
    twice = Stack(subject.trained.model, {name: 2 * p for name, p in subject.trained.parameters.items()})
    doubled = found(replace(subject, trained=twice), starts=1)[ORIGIN, None]
    assert doubled == pytest.approx(2**3 * few[ORIGIN, None], rel=1e-4)


def test_a_small_ball_is_linear_and_the_references_are_what_they_say() -> None:
    """In a small ball each layer moves along its gradient: sum_k r_k ||g_k||_F."""
    subject, draws = trained("mlp, one hidden layer"), Draws.of(trained("mlp, one hidden layer"))
    start = subject.initial.parameters
    near = {name: p + 1e-4 * (subject.trained.parameters[name] - p) for name, p in start.items()}
    values = found(replace(subject, trained=Stack(subject.trained.model, near)))
    for i in range(len(subject.trained)):
        z = [torch.tensor(layer, requires_grad=True) for layer in matrices(subject.initial, i)]
        w = matrices(Stack(subject.trained.model, near), i)
        radii = np.array([np.linalg.norm(a - b.detach().numpy()) for a, b in zip(w, z, strict=True)])
        x = draws.inputs[i].flatten(1).double()
        linear, reference, theorem = [], [], []
        for signs, chosen in zip(draws.signs[i].double(), draws.classes[i].tolist(), strict=True):
            value = signs @ (x @ z[0].T).relu() @ z[1][chosen] / len(x)
            norms = np.array([g.norm().item() for g in torch.autograd.grad(value, z)])
            linear.append(radii @ norms)
            reference.append(np.linalg.norm(radii) * np.linalg.norm(norms))
            before = (x @ z[0].T).norm().item()
            outer = z[1][chosen].norm().item() + radii[1]
            theorem.append(outer * (radii[0] * x.norm().item() + before) / len(x))
        assert values[INIT, None][i] == pytest.approx(np.mean(linear), rel=0.02)
        assert values[INIT, "first_order"][i] == pytest.approx(np.mean(reference), rel=1e-4)
        assert values[INIT, "theorem"][i] == pytest.approx(np.mean(theorem), rel=1e-4)


def test_the_draws_depend_on_the_seed_alone() -> None:
    narrow, wide = Draws.of(trained("mlp, one hidden layer")), Draws.of(trained("mlp, wide"))
    assert narrow.signs.unique().tolist() == [-1, 1]
    assert torch.equal(narrow.signs, wide.signs)
    assert torch.equal(narrow.classes, wide.classes)
    assert not torch.equal(narrow.signs[0], narrow.signs[1])
    assert narrow.classes[0].sort().values.tolist() == list(range(10))  # each class once in ten draws


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_values_do_not_depend_on_how_many_ascents_memory_holds(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(trained(kind))
    for size in (1, 7 * 4 * _capacity.COPIES * 2_000):
        monkeypatch.setattr(_capacity, "BYTES", size)
        assert {key: value.tolist() for key, value in found(trained(kind)).items()} == {
            key: value.tolist() for key, value in whole.items()
        }


def test_biases_and_parametrization_change_nothing() -> None:
    """The NTK parametrization's function multiplies by other weights than are stored; the balls are of those."""
    subject, plain = trained("mlp, ntk"), trained("mlp").trained.model
    factors = subject.trained.model.multipliers

    def same(one: Stack) -> Stack:
        def changed(name: str, p: torch.Tensor) -> torch.Tensor:
            return p * factors.get(name, 1.0) if p.dim() > 2 else p + 3

        return Stack(plain, {name: changed(name, p) for name, p in one.parameters.items()})

    expected = found(subject)
    other = found(replace(subject, trained=same(subject.trained), initial=same(subject.initial)))
    assert other.keys() == expected.keys()
    for key, value in other.items():
        assert value.tolist() == pytest.approx(expected[key].tolist(), rel=1e-4), key


def test_without_seeds_nothing_is_drawn() -> None:
    with pytest.raises(ValueError, match="1 networks need as many seeds to draw, got 0"):
        measures.compute([INIT], replace(HAND, seeds=()))
    assert (INIT, "theorem") in measures.compute([INIT], HAND)
    assert measures.compute(["capacity"], select(trained("cnn"), 0)) == {}
