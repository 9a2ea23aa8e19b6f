"""Pixels drawn from the normal distribution with the mean and deviation, a channel, of the training subset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist.data.noise._pixels import InputNoise, mix, uniform

if TYPE_CHECKING:
    from torch import Tensor

_RADIUS, _ANGLE = 2, 3  # what a hash is used for


def change(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    import torch

    pixels = torch.arange(images.shape[1:].numel(), device=images.device)
    base = noise.of_samples(network, samples)
    radius = (-2 * (1 - uniform(mix(base, pixels, _RADIUS))).log()).sqrt()  # Box and Muller 1958
    normal = radius * (2 * torch.pi * uniform(mix(base, pixels, _ANGLE))).cos()
    scaled = normal.view(images.shape) * noise.std[network, :, None] + noise.mean[network, :, None]
    return scaled.to(images.dtype)
