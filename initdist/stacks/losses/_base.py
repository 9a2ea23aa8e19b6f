"""What the file of a loss holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class LossMember:
    """loss: logits [B, C], labels [B] int64 -> the loss of each sample [B], never negative.

    Of functions that torch can differentiate and `vmap`; a sample's loss depends on its own logits alone.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
