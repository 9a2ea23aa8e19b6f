"""Optimizers on stacks against their `torch.optim` namesakes, alone and with schedules, clipping and weight decay."""

from __future__ import annotations

import itertools
from typing import Any

import plain
import pytest
import torch
from helpers import CPU, assert_same, make, tiny, train

from initdist import names
from initdist.config.schema import Config
from initdist.stacks import optim
from initdist.stacks.optim import OPTIMIZERS, SCHEDULES

SHAPES = {"weight": (4, 3), "bias": (4,), "kernel": (2, 3, 1, 2)}
EPOCHS, STEPS = 6, 4  # steps an epoch

# Each network of a stack has its own value of everything that may differ within one. Not listed: the default.
COEFFICIENTS = {
    "momentum": (0.9, 0.0, 0.5),
    "beta1": (0.9, 0.0, 0.5),
    "beta2": (0.999, 0.999, 0.9),
    "eps": (1e-8, 0.1, 1e-8),
}
OWN: dict[str, list[dict[str, Any]]] = {
    name: [
        {f"optimizer.{key}": COEFFICIENTS[key][i] for key in rule.coefficients if key in COEFFICIENTS} for i in range(3)
    ]
    for name, rule in OPTIMIZERS.items()
}
RATES = (0.5, 0.01, 0.1)
SCHEDULED: dict[str, list[dict[str, Any]]] = {
    "constant": [{}, {}, {}],
    "cosine": [{"optimizer.schedule_epochs": value} for value in (0, 7, 60)],
    "step": [
        {"optimizer.schedule_epochs": interval, "optimizer.schedule_factor": factor}
        for interval, factor in ((1, 0.5), (2, 0.1), (100, 0.3))
    ],
}
CLIPS = {"free": (0, 0, 0), "clipped": (0.5, 0, 3.0)}
DECAYS = {"undecayed": (0, 0, 0), "decayed": (0.1, 0.5, 0)}
VARIANTS = [(name, False) for name in OPTIMIZERS] + [("momentum", True)]
COMPARED = [(name, nesterov) for name, nesterov in VARIANTS if OPTIMIZERS[name].namesake]
GRID = list(itertools.product(COMPARED, SCHEDULES, CLIPS, DECAYS))


def configs_of(name: str, nesterov: bool, schedule: str, clip: str, decay: str) -> list[Config]:
    """Three networks that differ in every coefficient."""
    found = []
    for i, (own, scheduled) in enumerate(zip(OWN[name], SCHEDULED[schedule], strict=True)):
        numbers = {
            "optimizer.lr": RATES[i],
            "optimizer.clip_norm": CLIPS[clip][i],
            "optimizer.weight_decay": DECAYS[decay][i],
            "optimizer.schedule": schedule,
            "stop.max_epochs": EPOCHS,
        }
        if nesterov:
            own = {"optimizer.nesterov": True, "optimizer.momentum": 0.3 + 0.2 * i}
        found.append(make(numbers | own | scheduled, f"optimizer={name}"))
    return found


def values(networks: int, seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(networks, *shape, generator=generator, dtype=dtype) for key, shape in SHAPES.items()}


def reference(config: Config, start: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> dict[str, Any]:
    """One network's parameters after the descent on |theta - target|^2 / 2, by torch's own optimizer."""
    parameters = {key: one.clone().requires_grad_() for key, one in start.items()}
    descent = plain.optimizer(parameters.values(), config)
    schedule = plain.scheduler(descent, config)
    for _ in range(EPOCHS):
        for _ in range(STEPS):
            for key, one in parameters.items():
                one.grad = (one - target[key]).detach()
            if config.optimizer.clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(parameters.values(), config.optimizer.clip_norm)
            descent.step()
        schedule.step()
    return {key: one.detach() for key, one in parameters.items()}


def descend(configs: list[Config], stacked: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The same by the stack; after half of the epochs, in the middle of one, all but the last and the first leave."""
    ours = optim.build(configs, CPU)
    for epoch in range(1, EPOCHS + 1):
        ours.begin_epoch(epoch)
        for step in range(STEPS):
            if (epoch, step) == (EPOCHS // 2, 2):
                keep = torch.tensor([2, 0])
                ours = ours.select(keep)
                stacked, target = ({k: v[keep] for k, v in part.items()} for part in (stacked, target))
            ours.step(stacked, {key: stacked[key] - target[key] for key in SHAPES})
    return stacked


def test_every_schedule_is_compared() -> None:
    assert set(SCHEDULED) == set(SCHEDULES)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("variant", "schedule", "clip", "decay"), GRID, ids=str)
def test_an_optimizer_is_its_torch_namesake_with_each_networks_own_coefficients(
    variant: tuple[str, bool], schedule: str, clip: str, decay: str, dtype: torch.dtype, tolerance: float
) -> None:
    """To rounding: of this size, or a few times what the namesake's own float32 is off its float64. Where a rate of 0.5
    is divided by a small root (RMSprop), that is 4e-5."""
    configs = configs_of(*variant, schedule, clip, decay)
    start, target = values(3, 0, dtype), values(3, 1, dtype)
    found = descend(configs, {key: one.clone() for key, one in start.items()}, target)
    for position, i in enumerate((2, 0)):
        expected, exact = (
            reference(configs[i], *({key: one[i].to(kind) for key, one in part.items()} for part in (start, target)))
            for kind in (dtype, torch.float64)
        )
        rounding = max((one - exact[key]).abs().max().item() for key, one in expected.items())
        for key, one in expected.items():
            allowed = tolerance + 4 * rounding
            assert found[key][position].numpy() == pytest.approx(one.numpy(), abs=allowed, rel=tolerance)
            assert (one - start[key][i]).abs().max() > 0.01


@pytest.mark.parametrize(("name", "nesterov"), VARIANTS)
@pytest.mark.parametrize("length", [1, 3, 17, 64])
def test_steps_of_a_network_do_not_depend_on_the_stack(name: str, nesterov: bool, length: int) -> None:
    """Bit for bit, at sizes that put a network at every place within a vector register, with the others decayed."""
    configs = 4 * configs_of(name, nesterov, "cosine", "clipped", "decayed")
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(12, length, generator=generator)
    gradients = torch.randn(20, 12, length, generator=generator)
    together = _stepped(configs, start, gradients)
    for i, config in enumerate(configs):
        assert torch.equal(_stepped([config], start[i : i + 1], gradients[:, i : i + 1])[0], together[i])


def _stepped(configs: list[Config], start: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    stacked = start.clone()
    ours = optim.build(configs, CPU)
    for step, gradient in enumerate(gradients):
        ours.begin_epoch(1 + step // STEPS)
        ours.step({"weight": stacked}, {"weight": gradient})
    return stacked


@pytest.mark.parametrize(("name", "nesterov"), VARIANTS)
def test_a_step_is_in_place_and_a_network_without_a_gradient_stays(name: str, nesterov: bool) -> None:
    configs = configs_of(name, nesterov, "constant", "free", "undecayed")
    stacked = torch.ones(3, 2, 2)
    gradients = torch.ones(3, 2, 2)
    gradients[1] = 0
    optim.build(configs, CPU).step({"weight": stacked}, {"weight": gradients})
    assert torch.equal(stacked[1], torch.ones(2, 2))
    assert (stacked[[0, 2]] < 1).all()
    assert torch.equal(gradients[[0, 2]], torch.ones(2, 2, 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_and_clipping_of_others_leave_an_overflown_network_as_it_is_alone(name: str) -> None:
    configs = configs_of(name, False, "constant", "clipped", "decayed")
    start = torch.tensor([[1.0, 2.0], [1.0, 2.0], [torch.inf, -1.0]])
    gradients = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]).expand(2, 3, 2)
    free = make({"optimizer.lr": 0.1, "optimizer.weight_decay": 0.0}, f"optimizer={name}")
    together = _stepped([*configs[:2], free], start, gradients)[2]
    assert torch.equal(together, _stepped([free], start[2:], gradients[:, 2:])[0])
    assert together[0] == torch.inf


def test_clipping_is_of_each_networks_whole_gradient() -> None:
    """Gradient (3, 4) over two parameters: norm 5, scaled to 1 in the first network, free in the others."""
    configs = [make({"optimizer.lr": 1.0, "optimizer.clip_norm": limit}) for limit in (1.0, 0.0, 6.0)]
    stacked = {"a": torch.zeros(3, 1), "b": torch.zeros(3, 1)}
    optim.build(configs, CPU).step(stacked, {"a": torch.full((3, 1), 3.0), "b": torch.full((3, 1), 4.0)})
    assert stacked["a"].flatten().tolist() == pytest.approx([-0.6, -3, -3], abs=1e-6)
    assert stacked["b"].flatten().tolist() == pytest.approx([-0.8, -4, -4], abs=1e-6)


def test_rates_of_the_schedules_by_hand() -> None:
    numbers = {"optimizer.lr": 0.8, "stop.max_epochs": 4}
    cosine, step = (make(numbers | {"optimizer.schedule": "cosine"}), make(numbers | _step(2, 0.5)))
    found = []
    ours = optim.build([cosine, make(numbers), step], CPU)
    for epoch in (1, 2, 3, 4, 5):
        ours.begin_epoch(epoch)
        found.append(ours.coefficients["lr"].tolist())
    half = 0.5**0.5
    assert [one[0] for one in found] == pytest.approx([0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half), 0.0])
    assert [one[1] for one in found] == [0.8] * 5
    assert [one[2] for one in found] == [0.8, 0.8, 0.4, 0.4, 0.2]


def _step(interval: int, factor: float) -> dict[str, Any]:
    return {
        "optimizer.schedule": "step",
        "optimizer.schedule_epochs": interval,
        "optimizer.schedule_factor": factor,
    }


@pytest.mark.parametrize(("name", "nesterov"), VARIANTS)
def test_a_whole_training_is_the_same_alone_and_in_a_stack_that_shrinks(name: str, nesterov: bool) -> None:
    """Bit for bit, with other coefficients in every network, some of which end early."""
    configs = [
        tiny(
            {
                "seed": i,
                "stop.max_epochs": 12,
                "stop.train_loss": (0.0, 2.0, 1.0, 0.0)[i],
                "optimizer.lr": 0.3 / 2**i if name in ("sgd", "momentum") else 0.02 / 2**i,
                # Plain descent is rounded differently, so that it shares no stack with the rest.
                "optimizer.weight_decay": (0.02 if name == "sgd" else 0.0, 0.01, 0.0, 0.1)[i],
                "optimizer.clip_norm": (0.0, 0.0, 0.5, 1.0)[i],
                "optimizer.nesterov": nesterov,
                "optimizer.schedule": "cosine",
            },
            f"optimizer={name}",
        )
        for i in range(4)
    ]
    together = train(configs)
    assert len({one.result.metrics[names.EPOCHS] for one in together}) > 1
    for config, one in zip(configs, together, strict=True):
        assert_same(one, train([config])[0])
