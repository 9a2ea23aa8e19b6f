"""The pixels in one fixed random order, the same for every affected image of the network (Zhang et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initdist.data.noise._pixels import InputNoise

if TYPE_CHECKING:
    from torch import Tensor


def draw(stream: np.random.Generator, pixels: int) -> np.ndarray:
    """The order [P]."""
    return stream.permutation(pixels)


def change(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    order = noise.drawn[network]
    return images.gather(2, order[:, None].expand_as(images))
