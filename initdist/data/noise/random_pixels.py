"""The pixels in a random order of the image's own (Zhang et al. 2017)."""

import torch
from torch import Tensor

from initdist.data.noise._pixels import InputNoise, mix


def change(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    pixels = torch.arange(images.shape[2], device=images.device)
    order = mix(noise.of_samples(network, samples), pixels).argsort(dim=1, stable=True)
    return images.gather(2, order[:, None].expand_as(images))
