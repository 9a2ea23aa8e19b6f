"""Steps of the `optimizers` on stacked parameters: coefficients are [N], one value a network; updates are in place.

Each optimizer follows its `torch.optim` namesake, with the learning rate of its schedule's
`torch.optim.lr_scheduler` namesake and the clipping of `torch.nn.utils.clip_grad_norm_`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from initdist.config.schema import Config
from initdist.stacks.constraints import CONSTRAINTS
from initdist.stacks.optim._constraint import ActiveConstraint
from initdist.stacks.optim._optimizer import Optimizer
from initdist.stacks.optim._schedule import SCHEDULES, Schedule
from initdist.stacks.optimizers import OPTIMIZERS
from initdist.stacks.stack import Parameters

__all__ = ["OPTIMIZERS", "SCHEDULES", "Optimizer", "build"]


def descends(config: Config) -> bool:
    """Whether each step of a network is theta <- theta - lr g, projections aside: it is rounded differently then."""
    own, pulls = config.optimizer, CONSTRAINTS[config.constraint.name].pulls
    return OPTIMIZERS[own.name].descent and own.weight_decay == 0 and own.clip_norm == 0 and not pulls


def build(configs: Sequence[Config], device: torch.device, initial: Parameters | None = None) -> Optimizer:
    """Optimizer of a stack, with each network's own coefficients and schedule; they share the update rule.

    initial: theta_0 [N, ...] of the networks, which constraints are measured from.
    """
    own = [config.optimizer for config in configs]
    rule = OPTIMIZERS[own[0].name]
    coefficients = {
        name: torch.tensor([getattr(one, name) for one in own], dtype=torch.float64, device=device)
        for name in ("lr", "weight_decay", "clip_norm", *rule.coefficients)
    }
    powers = {f"{name}^t": torch.ones_like(coefficients[name]) for name in rule.powers}
    optimizer = Optimizer(
        rule=rule,
        nesterov=own[0].nesterov,
        schedules=tuple(Schedule.of(config) for config in configs),
        coefficients=coefficients | powers,
        clips=any(one.clip_norm > 0 for one in own),
        descends=all(map(descends, configs)),
        decays=tuple(rule.coupled_decay and one.weight_decay > 0 for one in own),
        constraint=ActiveConstraint.of(configs, device, initial or {}),
    )
    optimizer.begin_epoch(1)
    return optimizer
