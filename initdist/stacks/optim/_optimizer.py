"""One step of a stack: clipping, weight decay, the update rule; with everything that is indexed by network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from initdist.stacks.evaluation import norm
from initdist.stacks.optim._coefficients import per_network
from initdist.stacks.optim._constraint import ActiveConstraint
from initdist.stacks.optim._schedule import Schedule
from initdist.stacks.optimizers import Update, UpdateRule
from initdist.stacks.stack import Parameters

_CLIP_EPS = 1e-6  # that of torch.nn.utils.clip_grad_norm_


@dataclass
class Optimizer:
    """N networks' coefficients and state. `coefficients` and `state` are plain tensors: all that steps change."""

    rule: UpdateRule
    nesterov: bool
    schedules: tuple[Schedule, ...]  # N
    coefficients: dict[str, Tensor]  # name -> [N] float64; the current learning rate and powers among them
    clips: bool  # whether any network's gradient is clipped
    descends: bool  # whether a step is theta <- theta - lr g and no more, for every network
    decays: tuple[bool, ...]  # N whether a network's gradient has a weight decay in it
    constraint: ActiveConstraint | None = None
    state: dict[str, Parameters] = field(default_factory=dict)  # slot -> parameter -> [N, ...]; empty before step 1
    rates: tuple[float, ...] = ()  # N current learning rates
    _scratch: Tensor = field(default_factory=lambda: torch.empty(0))

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, counted from 1."""
        rates = tuple(schedule.rate(epoch) for schedule in self.schedules)
        if rates != self.rates:
            self.coefficients["lr"].copy_(torch.tensor(rates, dtype=torch.float64))
            self.rates = rates

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Update the parameters [N, ...] in place; the gradients stay as they are. The constraint's pull is in it."""
        if not self.state:
            self.state = {slot: {k: torch.zeros_like(p) for k, p in parameters.items()} for slot in self.rule.slots}
        for name in self.rule.powers:  # running products: a power function rounds differently by position
            self.coefficients[f"{name}^t"].mul_(self.coefficients[name])
        dtype = next(iter(parameters.values())).dtype
        prepared = {name: values.to(dtype) for name, values in self.rule.prepare(self.coefficients).items()}
        decay = self.coefficients["weight_decay"].to(dtype) if any(self.decays) else None
        scale = self._clip_scale(gradients).to(dtype) if self.clips else None
        for name, parameter in parameters.items():
            scratch = self._scratch_like(parameter)
            slots = {slot: values[name] for slot, values in self.state.items()}
            views = {key: per_network(values, parameter) for key, values in prepared.items()}
            gradient = self._effective(parameter, gradients[name], decay, scale, scratch)
            if self.constraint is not None:
                gradient = self.constraint.pulled(name, parameter, gradient, scratch)
            self.rule.update(Update(parameter, gradient, scratch, slots, views, self.nesterov))

    def constrain(self, parameters: Parameters) -> None:
        """What the constraint asks for after a step, in place."""
        if self.constraint is not None:
            self.constraint.keep(parameters)

    def changed(self) -> list[Tensor]:
        """The tensors [N, ...] that a step changes beside the parameters, from the first step on."""
        powers = [self.coefficients[f"{name}^t"] for name in self.rule.powers]
        return [*powers, *(values for parts in self.state.values() for values in parts.values())]

    def network(self, index: int) -> dict[str, Tensor]:
        """What steps have changed for one network: its part of every slot and power, as copies on the CPU."""
        powers = {f"{name}^t": self.coefficients[f"{name}^t"] for name in self.rule.powers}
        slots = {f"{slot}/{name}": values for slot, parts in self.state.items() for name, values in parts.items()}
        return {name: values[index].detach().cpu().clone() for name, values in (powers | slots).items()}

    def restore(self, networks: Sequence[dict[str, Tensor]]) -> None:
        """Go on where networks were, each as `network` gave it."""
        device = self.coefficients["lr"].device
        for key in networks[0]:
            values = torch.stack([one[key] for one in networks]).to(device)
            slot, _, name = key.partition("/")
            if name:
                self.state.setdefault(slot, {})[name] = values
            else:
                self.coefficients[key].copy_(values)

    def select(self, keep: Tensor) -> Optimizer:
        """The optimizer of the networks at these positions, with a copy of their state."""
        positions = keep.tolist()
        return replace(
            self,
            schedules=tuple(self.schedules[i] for i in positions),
            coefficients={name: values[keep] for name, values in self.coefficients.items()},
            decays=tuple(self.decays[i] for i in positions),
            constraint=None if self.constraint is None else self.constraint.select(keep),
            state={slot: {k: values[keep] for k, values in parts.items()} for slot, parts in self.state.items()},
            rates=tuple(self.rates[i] for i in positions),
            _scratch=torch.empty(0),
        )

    def _clip_scale(self, gradients: Parameters) -> Tensor:
        """[N] what brings the norm of each network's whole gradient down to its limit; 1 where there is none."""
        limit = self.coefficients["clip_norm"]
        return (limit / (norm(gradients.values()) + _CLIP_EPS)).clamp(max=1).where(limit > 0, 1.0)

    def _effective(
        self, parameter: Tensor, gradient: Tensor, decay: Tensor | None, scale: Tensor | None, scratch: Tensor
    ) -> Tensor:
        """The clipped gradient plus that of the penalty weight_decay/2 ||theta||^2; in the scratch if it is another."""
        if decay is None:
            return gradient if scale is None else torch.mul(gradient, per_network(scale, gradient), out=scratch)
        decay = per_network(decay, parameter)
        torch.mul(parameter, decay, out=scratch)
        if not all(self.decays):  # 0 * inf is not 0: a network without decay must not notice that others have one
            scratch.masked_fill_(decay == 0, 0)
        return scratch.add_(gradient) if scale is None else scratch.addcmul_(gradient, per_network(scale, gradient))

    def _scratch_like(self, parameter: Tensor) -> Tensor:
        """Memory of a parameter's shape, the same at every step and for every parameter."""
        if self._scratch.numel() < parameter.numel() or self._scratch.dtype != parameter.dtype:
            self._scratch = torch.empty_like(parameter).flatten()
        return self._scratch[: parameter.numel()].view_as(parameter)
