"""A network linearized at its initialization: f_theta0 + J(theta_0) (theta - theta_0), of the same parameters theta.

It has the tangent kernel that the network begins with, whatever theta is: it learns without learning features.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.func import jvp

from initdist.config.schema import ModelConfig


def linearized(
    function: Callable[[dict[str, Tensor]], Tensor], parameters: Mapping[str, Tensor], reference: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """f_theta0 and J(theta_0) (theta - theta_0), from f as a function of its parameters, theta and theta_0."""
    moved = {name: parameters[name] - p for name, p in reference.items()}
    found: tuple[Tensor, Tensor] = jvp(function, (dict(reference),), (moved,))  # type: ignore[assignment]
    return found


@cache
def prepare() -> None:
    """Let PyTorch load what its forward differentiation needs, which takes seconds; at the first call of a process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)  # PyTorch's own use of it
        jvp(torch.neg, (torch.zeros(1),), (torch.ones(1),))


def passes(config: ModelConfig) -> int:
    """How many values a layer leaves behind for each that the network does: a twin's layers also have a change."""
    return 2 if config.linearize else 1
