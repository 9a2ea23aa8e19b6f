"""What the file of a noise holds: `redraw` and `error` for a noise of labels, `change` for one of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initdist.data.noise._pixels import InputNoise

if TYPE_CHECKING:
    from torch import Tensor


def draw_nothing(stream: np.random.Generator, pixels: int) -> np.ndarray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Noise:
    """A noise. Level 0 must leave everything as it is, and what is affected at a lower level is so at a higher one.

    redraw: labels [M] of the whole training pool, number of classes, level, seed -> labels [M] to train on.
    error: error against clean labels, level, classes -> the expected one against labels under this noise.
    change: the noise of N networks, the A affected images [A, K, P] of K channels and P pixels, the network [A] and the
    sample [A] of each -> these images under the noise.
    draw: a network's stream, P -> what `change` finds of it in `InputNoise.drawn`, drawn once: an array.
    """

    redraw: Callable[[np.ndarray, int, float, int], np.ndarray] | None = None
    error: Callable[[float, float, int], float] | None = None
    change: Callable[[InputNoise, Tensor, Tensor, Tensor], Tensor] | None = None
    draw: Callable[[np.random.Generator, int], np.ndarray] = draw_nothing

    def __post_init__(self) -> None:
        if (self.redraw is None) == (self.change is None):
            raise ValueError("either redraw or change must be there")
        if (self.redraw is None) != (self.error is None):
            raise ValueError("error must be there if redraw is, and only then")
