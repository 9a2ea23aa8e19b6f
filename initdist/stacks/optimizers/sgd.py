"""Plain stochastic gradient descent."""

from initdist.stacks.optimizers import Update

DESCENT = True
NAMESAKE = "SGD"


def update(step: Update) -> None:
    """theta <- theta - lr g."""
    step.parameter.addcmul_(step.gradient, step.coefficients["lr"], value=-1)
