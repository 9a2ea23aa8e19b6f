"""One step of a stack: clipping, weight decay, the update rule; with everything that is indexed by network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from initdist.evaluation import norm
from initdist.optim._rules import Rule
from initdist.optim._schedule import Schedule
from initdist.stack import Parameters

_CLIP_EPS = 1e-6  # that of torch.nn.utils.clip_grad_norm_


@dataclass
class Optimizer:
    """N networks' coefficients and state. `coefficients` and `state` are plain tensors: all that steps change."""

    rule: Rule
    nesterov: bool
    schedules: tuple[Schedule, ...]  # N
    coefficients: dict[str, Tensor]  # name -> [N] float64; the current learning rate and powers among them
    clips: bool  # whether any network's gradient is clipped
    decays: bool  # whether any network has a weight decay in its gradient
    state: dict[str, Parameters] = field(default_factory=dict)  # slot -> parameter -> [N, ...]; empty before step 1
    rates: tuple[float, ...] = ()  # N current learning rates

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch, counted from 1."""
        rates = tuple(schedule.rate(epoch) for schedule in self.schedules)
        if rates != self.rates:
            self.coefficients["lr"].copy_(torch.tensor(rates, dtype=torch.float64))
            self.rates = rates

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Update the parameters [N, ...] in place; the gradients stay as they are."""
        if not self.state:
            self.state = {slot: {k: torch.zeros_like(p) for k, p in parameters.items()} for slot in self.rule.slots}
        for name in self.rule.powers:  # running products: a power function rounds differently by position
            self.coefficients[f"{name}^t"].mul_(self.coefficients[name])
        prepared = self.rule.prepare(self.coefficients)
        scale = self._clip_scale(gradients) if self.clips else None
        for name, parameter in parameters.items():
            gradient = self._penalized(gradients[name], scale, parameter)
            slots = {slot: values[name] for slot, values in self.state.items()}
            views = {key: per_network(values, parameter) for key, values in prepared.items()}
            self.rule.update(parameter, gradient, slots, views, self.nesterov)

    def select(self, keep: Tensor) -> Optimizer:
        """The optimizer of the networks at these positions, with a copy of their state."""
        positions = keep.tolist()
        return replace(
            self,
            schedules=tuple(self.schedules[i] for i in positions),
            coefficients={name: values[keep] for name, values in self.coefficients.items()},
            state={slot: {k: values[keep] for k, values in parts.items()} for slot, parts in self.state.items()},
            rates=tuple(self.rates[i] for i in positions),
        )

    def _clip_scale(self, gradients: Parameters) -> Tensor:
        """[N] what brings the norm of each network's whole gradient down to its limit; 1 where there is none."""
        limit = self.coefficients["clip_norm"]
        return (limit / (norm(gradients.values()) + _CLIP_EPS)).clamp(max=1).where(limit > 0, 1.0)

    def _penalized(self, gradient: Tensor, scale: Tensor | None, parameter: Tensor) -> Tensor:
        """The clipped gradient plus that of the penalty weight_decay/2 ||theta||^2."""
        if scale is not None:
            gradient = gradient * per_network(scale, gradient)
        if not self.decays:
            return gradient
        decay = per_network(self.coefficients["weight_decay"], parameter)
        # 0 * inf is not 0: a network without decay must not notice that others have one.
        return gradient.addcmul(parameter, decay).where(decay > 0, gradient)


def per_network(coefficient: Tensor, like: Tensor) -> Tensor:
    """A coefficient [N] in the dtype of a stacked parameter [N, ...] and broadcasting against it."""
    return coefficient.to(like.dtype).view(-1, *[1] * (like.dim() - 1))
