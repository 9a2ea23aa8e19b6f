"""A constraint on the networks of a stack: part of every step, and of the graph that a step becomes on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from initdist.config.schema import Config
from initdist.stacks.constraints import CONSTRAINTS, INIT, Constraint
from initdist.stacks.evaluation import norm
from initdist.stacks.optim._coefficients import per_network
from initdist.stacks.stack import Parameters


@dataclass
class ActiveConstraint:
    """radius, decay: [N] float64, NaN where the constraint has none. centre: [N, ...], None = the origin."""

    rule: Constraint
    radius: Tensor
    decay: Tensor
    centre: Parameters | None
    _scratch: Tensor = field(default_factory=lambda: torch.empty(0))

    @classmethod
    def of(cls, configs: Sequence[Config], device: torch.device, initial: Parameters) -> ActiveConstraint | None:
        """That of a stack, whose networks share the rule; None where training is left alone."""
        rule = CONSTRAINTS[configs[0].constraint.name]
        if rule.centre is None:
            return None
        own = [config.constraint for config in configs]
        radius, decay = (
            torch.tensor([torch.nan if v is None else v for v in values], dtype=torch.float64, device=device)
            for values in ([one.radius for one in own], [one.decay for one in own])
        )
        return cls(rule, radius, decay, initial if rule.centre == INIT else None)

    def pulled(self, name: str, parameter: Tensor, gradient: Tensor, scratch: Tensor) -> Tensor:
        """The gradient with the pull towards the centre, in the scratch; as it was where there is none."""
        if not self.rule.pulls:
            return gradient
        decay = per_network(self.decay.to(parameter.dtype), parameter)
        torch.addcmul(gradient, parameter, decay, out=scratch)
        return scratch if self.centre is None else scratch.addcmul_(self.centre[name], decay, value=-1)

    def keep(self, parameters: Parameters) -> None:
        """Scale each network's way from the centre as the rule says, in place."""
        if self.rule.scale is None:
            return
        factor = self.rule.scale(self.distance(parameters), self.radius)
        if factor.device.type == "cpu" and bool((factor == 1).all()):  # other devices must not be waited for
            return
        for name, p in parameters.items():
            own = per_network(factor.to(p.dtype), p)
            if self.centre is None:
                p.mul_(own)
            else:  # from the centre: as exact for a factor near 0 as for one near 1
                torch.lerp(self.centre[name], p, own, out=p)

    def distance(self, parameters: Parameters) -> Tensor:
        """How far each network [N] is from the centre."""
        return norm(_row_norms(self._way(name, p)) for name, p in parameters.items())

    def _way(self, name: str, parameter: Tensor) -> Tensor:
        """From the centre to a parameter, in memory that is the same for all of them."""
        if self.centre is None:
            return parameter
        if self._scratch.numel() < parameter.numel():
            self._scratch = torch.empty_like(parameter).flatten()
        return torch.sub(parameter, self.centre[name], out=self._scratch[: parameter.numel()].view_as(parameter))

    def select(self, keep: Tensor) -> ActiveConstraint:
        """That of the networks at these positions."""
        centre = None if self.centre is None else {name: p[keep] for name, p in self.centre.items()}
        return ActiveConstraint(self.rule, self.radius[keep], self.decay[keep], centre)


def _row_norms(way: Tensor) -> Tensor:
    """The norms [N, rows] of the rows of a way: of few values each, so that float32 is enough, which is much faster."""
    rows = way.flatten(2) if way.dim() > 2 else way.unsqueeze(1)
    return torch.linalg.vector_norm(rows, dim=2)
