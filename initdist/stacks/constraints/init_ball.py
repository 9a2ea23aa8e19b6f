"""||theta - theta_0|| <= R: the projection onto the ball around the initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CENTRE = "init"


def scale(distance: Tensor, radius: Tensor) -> Tensor:
    """min(1, R / d)."""
    return (radius / distance).clamp(max=1)
