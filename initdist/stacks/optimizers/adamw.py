"""Adam with the weight decay decoupled from the gradient (Loshchilov & Hutter 2019)."""

from initdist.stacks.optimizers import Update, adam
from initdist.stacks.optimizers._base import Coefficients

COEFFICIENTS, POWERS, SLOTS = adam.COEFFICIENTS, adam.POWERS, adam.SLOTS
COUPLED_DECAY = False
NAMESAKE = "AdamW"


def prepare(c: Coefficients) -> Coefficients:
    return {**adam.prepare(c), "shrink": 1 - c["lr"] * c["weight_decay"]}


def update(step: Update) -> None:
    """theta <- (1 - lr * weight_decay) theta, then as Adam."""
    step.parameter.mul_(step.coefficients["shrink"])
    adam.update(step)
