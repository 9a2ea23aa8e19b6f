"""One number a network beside its parameters."""

from torch import Tensor


def per_network(coefficient: Tensor, like: Tensor) -> Tensor:
    """View of a coefficient [N] that broadcasts against a stacked parameter [N, ...]."""
    return coefficient.view(-1, *[1] * (like.dim() - 1))
