"""What the file of a constraint holds. N networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

INIT, ORIGIN = "init", "origin"


@dataclass(frozen=True)
class Constraint:
    """What is done to a network's way from a centre while it trains.

    centre: `init` (theta_0), `origin`, or None where training is left alone.
    scale: distances from the centre and radii, [N] each -> the factors [N] that each network's way from the centre is
    multiplied by after a step, 1 where it is to stay. Elementwise. None: no step is changed.
    pulls: whether `constraint.decay` times the way from the centre joins the gradient.
    """

    centre: str | None
    scale: Callable[[Tensor, Tensor], Tensor] | None = None
    pulls: bool = False

    def __post_init__(self) -> None:
        if self.centre not in (INIT, ORIGIN, None):
            raise ValueError(f"CENTRE must be {INIT}, {ORIGIN} or None, got {self.centre!r}")
        if (self.centre is not None) is not ((self.scale is not None) ^ self.pulls):
            raise ValueError("scale or PULLS = True must be there, not both, and only with a CENTRE")

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields of the config that it reads, one of which has to be given."""
        return ("radius", "of_free") if self.scale is not None else ("decay",) if self.pulls else ()

    @property
    def example(self) -> Mapping[str, float]:
        """Values of these, for the tests."""
        return dict.fromkeys(self.reads[:1], 0.1)
