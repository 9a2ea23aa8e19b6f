"""The pixels in a random order of the image's own (Zhang et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist.data.noise._pixels import InputNoise, mix

if TYPE_CHECKING:
    from torch import Tensor


def change(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    import torch

    pixels = torch.arange(images.shape[2], device=images.device)
    order = mix(noise.of_samples(network, samples), pixels).argsort(dim=1, stable=True)
    return images.gather(2, order[:, None].expand_as(images))
