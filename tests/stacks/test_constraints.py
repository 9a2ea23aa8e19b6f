"""Constraints: what they do to a step, bit for bit alike alone and in a stack, and where a network starts."""

from __future__ import annotations

import pytest
import torch
from helpers import CPU, assert_same, tiny, train

from initdist import names
from initdist.stacks import optim, stack
from initdist.stacks.constraints import CONSTRAINTS
from initdist.stacks.optim import OPTIMIZERS
from initdist.stacks.stack import Parameters

SHAPES = {"weight": (30, 40), "bias": (30,), "kernel": (4, 3, 3, 3)}
RADII = (0.5, 2.0, 4.0, 1e4)
BINDING = [name for name, rule in CONSTRAINTS.items() if rule.scale is not None]


def drawn(seed: int, networks: int = len(RADII)) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(networks, *shape, generator=generator) for key, shape in SHAPES.items()}


def flat(parameters: Parameters, i: int) -> torch.Tensor:
    """All of one network, in float64."""
    return torch.cat([p[i].double().flatten() for p in parameters.values()])


def constrained(name: str, centre: Parameters, radii: tuple[float, ...] = RADII) -> optim.Optimizer:
    configs = [tiny({"constraint.radius": radius}, f"constraint={name}") for radius in radii]
    return optim.build(configs, CPU, centre)


@pytest.mark.parametrize("away", [1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("name", BINDING)
def test_each_network_is_moved_along_its_way_to_its_own_radius_and_no_further(name: str, away: float) -> None:
    centre, way = drawn(1), drawn(2)
    parameters = {key: centre[key] + away * way[key] for key in SHAPES}
    before = {key: p.clone() for key, p in parameters.items()}
    start = {key: torch.zeros_like(p) for key, p in centre.items()} if name == "origin_ball" else centre
    constrained(name, centre).constrain(parameters)
    for i, radius in enumerate(RADII):
        was, now = flat(before, i) - flat(start, i), flat(parameters, i) - flat(start, i)
        binds = (was.norm().item() > radius) is not (name == "init_shell")
        if binds:
            # As near as float32 holds theta: of its own size where theta_0 is far longer than the way.
            rounding = 1e-7 * flat(parameters, i).norm().item()
            assert now.norm().item() == pytest.approx(radius, rel=1e-6, abs=rounding)
            wanted = was * (radius / was.norm())
            assert (now - wanted).norm().item() <= 1e-6 * radius + 4 * rounding
        else:
            assert all(torch.equal(parameters[key][i], before[key][i]) for key in SHAPES)


@pytest.mark.parametrize("name", BINDING)
def test_a_network_does_not_see_its_stack(name: str) -> None:
    centre, parameters = drawn(1), drawn(2)
    together = {key: p.clone() for key, p in parameters.items()}
    constrained(name, centre).constrain(together)
    for i, radius in enumerate(RADII):
        alone = {key: p[i : i + 1].clone() for key, p in parameters.items()}
        constrained(name, {key: p[i : i + 1] for key, p in centre.items()}, (radius,)).constrain(alone)
        assert all(torch.equal(alone[key][0], together[key][i]) for key in SHAPES)


@pytest.mark.parametrize("name", BINDING)
def test_a_projection_reads_no_value_on_the_host(name: str) -> None:
    """On tensors without values, as on a CUDA device while a graph is captured, that would be an error."""
    meta = torch.device("meta")
    centre, parameters = ({key: p.to(meta) for key, p in drawn(seed).items()} for seed in (1, 2))
    configs = [tiny({"constraint.radius": radius}, f"constraint={name}") for radius in RADII]
    optim.build(configs, meta, centre).constrain(parameters)


def test_at_the_centre_a_shell_has_no_direction_and_waits_for_the_first_step() -> None:
    centre = drawn(1)
    parameters = {key: p.clone() for key, p in centre.items()}
    constrained("init_shell", centre).constrain(parameters)
    assert all(torch.equal(parameters[key], centre[key]) for key in SHAPES)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("name", [name for name in CONSTRAINTS if CONSTRAINTS[name].reads])
def test_trained_alone_and_in_a_stack_that_leaves_and_diverges(name: str, optimizer: str) -> None:
    """Networks with radii or decays of their own that end at different epochs, beside one that diverges."""
    key = f"constraint.{CONSTRAINTS[name].reads[0]}"
    strengths = (0.05, 0.4, 3.0) if key == "constraint.radius" else (1e-3, 1e-2, 0.1)
    own = {"optimizer.lr": 0.02, "stop.max_epochs": 6, "history": 3}
    choices, stops = (f"constraint={name}", f"optimizer={optimizer}"), (0, 2.0, 0)
    configs = [tiny(own | {"seed": i, key: strengths[i], "stop.train_loss": stops[i]}, *choices) for i in range(3)]
    wild = tiny(own | {"optimizer.lr": 1e30, key: 1e9}, *choices)
    together = train([configs[0], wild, *configs[1:]])
    for place, config in zip((0, 2, 3), configs, strict=True):
        (alone,) = train([config])
        assert_same(alone, together[place])
        distance = alone.result.metrics[names.DISTANCE]
        if name == "init_ball":
            assert distance <= config.constraint.radius * (1 + 1e-5)
        if name == "init_shell":
            assert distance >= config.constraint.radius * (1 - 1e-5)
    if name == "init_ball":
        bound = together[0].result.metrics[names.DISTANCE]
        assert bound == pytest.approx(configs[0].constraint.radius, rel=1e-5)


def test_a_ball_that_does_not_bind_changes_no_bit() -> None:
    (free,), (held,) = train([tiny()]), train([tiny({"constraint.radius": 1e6}, "constraint=init_ball")])
    assert_same(free, held)


def test_a_start_away_from_theta_0() -> None:
    """At exactly rho, in a direction of the network's own; distances and theta_0's hash are those of theta_0."""
    own = {"stop.max_epochs": 1, "history": 2}
    starts = ((0.5, 0), (2.0, 0), (2.0, 1), (0.0, 0))
    away = [tiny(own | {"model.init_offset": rho, "seed": seed}) for rho, seed in starts]
    built = stack.build(away, (1, 8, 8), 10, CPU)
    started = stack.started(built, away)
    ways = [flat(started.parameters, i) - flat(built.parameters, i) for i in range(4)]
    assert [way.norm().item() for way in ways] == pytest.approx([0.5, 2.0, 2.0, 0.0], rel=1e-5)
    assert (4 * ways[0] - ways[1]).norm() < 1e-5
    assert abs(torch.dot(ways[1], ways[2]).item()) < 0.5  # cosine of two directions: a deviation of 1 / sqrt(1210)
    together = train(away)
    for i, config in enumerate(away):
        assert together[i].result.history[0][1][names.DISTANCE] == pytest.approx(config.model.init_offset, rel=1e-5)
        assert_same(train([config])[0], together[i])
    assert together[1].result.theta0 == together[3].result.theta0
