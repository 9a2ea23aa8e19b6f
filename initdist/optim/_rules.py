"""Update rules of one stacked parameter [N, ...], by the optimizer's config name.

Only elementwise operations: they round the same at every position of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

Coefficients = Mapping[str, Tensor]  # name -> [N], or a view of it that broadcasts against a parameter
Slots = Mapping[str, Tensor]  # what is kept for a parameter, name -> [N, ...]


@dataclass(frozen=True)
class Rule:
    """An optimizer.

    coefficients: config fields that it reads, beside the learning rate, the weight decay and the clipping norm.
    powers: those of them whose t-th power is wanted at step t, under the name with a `^t`.
    slots: what it keeps for each parameter; all start at zero.
    prepare: from the coefficients [N] in float64 to what `update` reads of them, once a step.
    update: (parameter, gradient, slots, prepared, nesterov) -> None, in place on the parameter and the slots.
    coupled_decay: whether the weight decay is part of the gradient, as a penalty's, or left to `update`.
    """

    update: Callable[[Tensor, Tensor, Slots, Coefficients, bool], None]
    coefficients: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    prepare: Callable[[Coefficients], Coefficients] = lambda c: {"lr": c["lr"]}
    coupled_decay: bool = True


def _sgd(parameter: Tensor, gradient: Tensor, slots: Slots, c: Coefficients, nesterov: bool) -> None:
    """theta <- theta - lr g."""
    parameter.addcmul_(gradient, c["lr"], value=-1)


def _momentum(parameter: Tensor, gradient: Tensor, slots: Slots, c: Coefficients, nesterov: bool) -> None:
    """b <- mu b + g, so that the first is g; theta <- theta - lr b, or with nesterov theta - lr (g + mu b)."""
    buffer = slots["buffer"].mul_(c["momentum"]).add_(gradient)
    direction = gradient.addcmul(buffer, c["momentum"]) if nesterov else buffer
    parameter.addcmul_(direction, c["lr"], value=-1)


def _adam(parameter: Tensor, gradient: Tensor, slots: Slots, c: Coefficients, nesterov: bool) -> None:
    """m, v running means of g and g^2; theta <- theta - lr m/(1 - beta1^t) / (sqrt(v/(1 - beta2^t)) + eps)."""
    mean = slots["mean"].mul_(c["beta1"]).addcmul_(gradient, c["new1"])
    square = slots["square"].mul_(c["beta2"]).addcmul_(gradient.square(), c["new2"])
    scale = square.sqrt().div_(c["root2"]).add_(c["eps"])
    parameter.addcdiv_(mean * c["step"], scale, value=-1)


def _adamw(parameter: Tensor, gradient: Tensor, slots: Slots, c: Coefficients, nesterov: bool) -> None:
    """theta <- (1 - lr * weight_decay) theta, then as Adam."""
    parameter.mul_(c["shrink"])
    _adam(parameter, gradient, slots, c, nesterov)


def _adam_step(c: Coefficients) -> dict[str, Tensor]:
    return {
        "beta1": c["beta1"],
        "new1": 1 - c["beta1"],
        "beta2": c["beta2"],
        "new2": 1 - c["beta2"],
        "eps": c["eps"],
        "step": c["lr"] / (1 - c["beta1^t"]),
        "root2": (1 - c["beta2^t"]).sqrt(),
    }


_BETAS = ("beta1", "beta2")
_MOMENTS = ("mean", "square")

RULES: dict[str, Rule] = {
    "sgd": Rule(_sgd),
    "momentum": Rule(
        _momentum, ("momentum",), slots=("buffer",), prepare=lambda c: {"lr": c["lr"], "momentum": c["momentum"]}
    ),
    "adam": Rule(_adam, (*_BETAS, "eps"), _BETAS, _MOMENTS, _adam_step),
    "adamw": Rule(
        _adamw,
        (*_BETAS, "eps"),
        _BETAS,
        _MOMENTS,
        lambda c: _adam_step(c) | {"shrink": 1 - c["lr"] * c["weight_decay"]},
        coupled_decay=False,
    ),
}
