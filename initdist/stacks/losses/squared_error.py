"""Squared error: sum_c (f_c - 1[y = c])^2, without a factor 1/2 and without a mean over classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    import torch

    classes = torch.arange(logits.shape[-1], device=logits.device)
    targets = (labels[:, None] == classes).to(logits.dtype)  # F.one_hot cannot be vmapped
    return (logits - targets).square().sum(-1)
