"""Adam (Kingma & Ba 2015). The weight decay, if any, is part of the gradient."""

from initdist.stacks.optimizers import Update
from initdist.stacks.optimizers._base import Coefficients

COEFFICIENTS = ("beta1", "beta2", "eps")
POWERS = ("beta1", "beta2")
SLOTS = ("mean", "square")
NAMESAKE = "Adam"


def prepare(c: Coefficients) -> Coefficients:
    return {
        "beta1": c["beta1"],
        "new1": 1 - c["beta1"],
        "beta2": c["beta2"],
        "new2": 1 - c["beta2"],
        "eps": c["eps"],
        "stepsize": c["lr"] / (1 - c["beta1^t"]),
        "root2": (1 - c["beta2^t"]).sqrt(),
    }


def update(step: Update) -> None:
    """m, v running means of g and g^2; theta <- theta - lr m/(1 - beta1^t) / (sqrt(v/(1 - beta2^t)) + eps)."""
    import torch

    c, gradient, scratch = step.coefficients, step.gradient, step.scratch
    mean = step.slots["mean"].mul_(c["beta1"]).addcmul_(gradient, c["new1"])
    squared = torch.mul(gradient, gradient, out=scratch)
    square = step.slots["square"].mul_(c["beta2"]).addcmul_(squared, c["new2"])
    scale = torch.sqrt(square, out=scratch).div_(c["root2"]).add_(c["eps"])
    step.parameter.addcmul_(torch.div(mean, scale, out=scratch), c["stepsize"], value=-1)
