"""Optimizers on stacked parameters: coefficients are [N], one value a network; updates are in place.

Each follows the update rule of its `torch.optim` namesake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from initdist.schema import Config
from initdist.stack import Parameters


class Optimizer(Protocol):
    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Update the parameters [N, ...] in place."""

    def select(self, keep: Tensor) -> Optimizer:
        """The optimizer of the networks at these positions."""


def per_network(coefficient: Tensor, like: Tensor) -> Tensor:
    """View of a coefficient [N] that broadcasts against a stacked parameter [N, ...]."""
    return coefficient.view(-1, *[1] * (like.dim() - 1))


@dataclass(frozen=True)
class SGD:
    """theta <- theta - lr * gradient. lr [N]."""

    lr: Tensor

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        for name, parameter in parameters.items():
            parameter.addcmul_(gradients[name], per_network(self.lr, parameter), value=-1)

    def select(self, keep: Tensor) -> SGD:
        return SGD(self.lr[keep])


def _sgd(configs: Sequence[Config], device: torch.device) -> Optimizer:
    return SGD(torch.tensor([config.optimizer.lr for config in configs], device=device))


OPTIMIZERS: dict[str, Callable[[Sequence[Config], torch.device], Optimizer]] = {"sgd": _sgd}


def build(configs: Sequence[Config], device: torch.device) -> Optimizer:
    """Optimizer of a stack, with each network's own coefficients."""
    return OPTIMIZERS[configs[0].optimizer.name](configs, device)
