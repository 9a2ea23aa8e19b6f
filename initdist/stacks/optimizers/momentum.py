"""Stochastic gradient descent with momentum, Nesterov's or Polyak's."""

from initdist.stacks.optimizers import Update
from initdist.stacks.optimizers._base import Coefficients

COEFFICIENTS = ("momentum",)
SWITCHES = ("nesterov",)
SLOTS = ("buffer",)
NAMESAKE = "SGD"


def prepare(c: Coefficients) -> Coefficients:
    return {"lr": c["lr"], "momentum": c["momentum"]}


def update(step: Update) -> None:
    """b <- mu b + g, so that the first is g; theta <- theta - lr b, or with nesterov theta - lr (g + mu b)."""
    import torch

    c, gradient = step.coefficients, step.gradient
    direction = step.slots["buffer"].mul_(c["momentum"]).add_(gradient)
    if step.nesterov:
        direction = torch.addcmul(gradient, direction, c["momentum"], out=step.scratch)
    step.parameter.addcmul_(direction, c["lr"], value=-1)
