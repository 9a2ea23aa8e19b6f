"""Update rules of one stacked parameter [N, ...], by the optimizer's config name.

Only elementwise operations: they round the same at every position of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Coefficients = Mapping[str, Tensor]  # name -> [N], or a view of it that broadcasts against a parameter
Slots = Mapping[str, Tensor]  # what is kept for a parameter, name -> [N, ...]


@dataclass(frozen=True)
class UpdateRule:
    """An optimizer.

    coefficients: config fields that it reads, beside the learning rate, the weight decay and the clipping norm.
    powers: those of them whose t-th power is wanted at step t, under the name with a `^t`.
    slots: what it keeps for each parameter; all start at zero.
    prepare: from the coefficients [N] in float64 to what `update` reads of them, once a step.
    update: in place on the parameter and the slots.
    coupled_decay: whether the weight decay is part of the gradient, as a penalty's, or left to `update`.
    descent: whether the update is theta <- theta - lr g, which can be done without ever holding g in memory.
    """

    update: Callable[[Update], None]
    coefficients: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    prepare: Callable[[Coefficients], Coefficients] = lambda c: {"lr": c["lr"]}
    coupled_decay: bool = True
    descent: bool = False


@dataclass(slots=True)
class Update:
    """What the update of one parameter works on. Fresh tensors of its size cost as much as the arithmetic."""

    parameter: Tensor  # [N, ...]
    gradient: Tensor  # [N, ...] to be left as it is, unless it is the scratch
    scratch: Tensor  # [N, ...] free to be overwritten
    slots: Slots
    coefficients: Coefficients
    nesterov: bool


def _sgd(step: Update) -> None:
    """theta <- theta - lr g."""
    step.parameter.addcmul_(step.gradient, step.coefficients["lr"], value=-1)


def _momentum(step: Update) -> None:
    """b <- mu b + g, so that the first is g; theta <- theta - lr b, or with nesterov theta - lr (g + mu b)."""
    c, gradient = step.coefficients, step.gradient
    direction = step.slots["buffer"].mul_(c["momentum"]).add_(gradient)
    if step.nesterov:
        direction = torch.addcmul(gradient, direction, c["momentum"], out=step.scratch)
    step.parameter.addcmul_(direction, c["lr"], value=-1)


def _adam(step: Update) -> None:
    """m, v running means of g and g^2; theta <- theta - lr m/(1 - beta1^t) / (sqrt(v/(1 - beta2^t)) + eps)."""
    c, gradient, scratch = step.coefficients, step.gradient, step.scratch
    mean = step.slots["mean"].mul_(c["beta1"]).addcmul_(gradient, c["new1"])
    squared = torch.mul(gradient, gradient, out=scratch)
    square = step.slots["square"].mul_(c["beta2"]).addcmul_(squared, c["new2"])
    scale = torch.sqrt(square, out=scratch).div_(c["root2"]).add_(c["eps"])
    step.parameter.addcmul_(torch.div(mean, scale, out=scratch), c["stepsize"], value=-1)


def _adamw(step: Update) -> None:
    """theta <- (1 - lr * weight_decay) theta, then as Adam."""
    step.parameter.mul_(step.coefficients["shrink"])
    _adam(step)


def _adam_coefficients(c: Coefficients) -> dict[str, Tensor]:
    return {
        "beta1": c["beta1"],
        "new1": 1 - c["beta1"],
        "beta2": c["beta2"],
        "new2": 1 - c["beta2"],
        "eps": c["eps"],
        "stepsize": c["lr"] / (1 - c["beta1^t"]),
        "root2": (1 - c["beta2^t"]).sqrt(),
    }


_BETAS = ("beta1", "beta2")
_MOMENTS = ("mean", "square")

RULES: dict[str, UpdateRule] = {
    "sgd": UpdateRule(_sgd, descent=True),
    "momentum": UpdateRule(
        _momentum, ("momentum",), slots=("buffer",), prepare=lambda c: {"lr": c["lr"], "momentum": c["momentum"]}
    ),
    "adam": UpdateRule(_adam, (*_BETAS, "eps"), _BETAS, _MOMENTS, _adam_coefficients),
    "adamw": UpdateRule(
        _adamw,
        (*_BETAS, "eps"),
        _BETAS,
        _MOMENTS,
        lambda c: _adam_coefficients(c) | {"shrink": 1 - c["lr"] * c["weight_decay"]},
        coupled_decay=False,
    ),
}
