"""||theta - theta_0|| >= R: out to the sphere around the initialization, along the way from it.

At theta_0 itself there is no direction: the network stays, and its first step gives one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CENTRE = "init"


def scale(distance: Tensor, radius: Tensor) -> Tensor:
    """max(1, R / d); 1 where d is 0."""
    return (radius / distance).clamp(min=1).where(distance > 0, 1.0)
