"""Losses of one sample, by their config name. Inputs: logits [B, C], labels [B] int64. Returns [B], never negative.

Squared error is sum_c (f_c - 1[y = c])^2, without a factor 1/2 and without a mean over classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """As `F.cross_entropy`, without its provisions for labels to be ignored and for weights of classes.

    Over the first dimension: PyTorch's kernels for the last one cost ten times as much for a few classes.
    """
    return -F.log_softmax(logits.T, dim=0).gather(0, labels[None]).squeeze(0)


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    classes = torch.arange(logits.shape[-1], device=logits.device)
    targets = (labels[:, None] == classes).to(logits.dtype)  # F.one_hot cannot be vmapped
    return (logits - targets).square().sum(-1)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "squared_error": squared_error}
