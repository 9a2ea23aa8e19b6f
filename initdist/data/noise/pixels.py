"""Input noise: a fraction of the images, in training and test alike, loses what its pixels say (Zhang et al. 2017,
arXiv 1611.03530).

shuffled_pixels: the pixels in one fixed random order, the same for every affected image of the network.
random_pixels: the pixels in a random order of the image's own.
gaussian: pixels drawn from the normal distribution with the mean and deviation, a channel, of the training subset.

Everything follows from (seed, sample index, pixel) by a hash on the device, so nothing is stored a network and an image
is the same in every epoch, stack and micro-batch. The images affected at a lower level are among those at a higher one.

N networks, B batch, K channels, P pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.config.schema import Config

TEST = 1 << 40  # test samples have indices of their own, above those of the training pool

_AFFECTED, _ORDER, _RADIUS, _ANGLE = range(4)  # what a hash is used for


@dataclass(frozen=True)
class InputNoise:
    """The input noise of N networks."""

    name: str
    levels: Tensor  # [N] float64, fraction of images affected
    keys: Tensor  # [N] int64, from each network's noise seed
    permutations: Tensor  # [N, P] of shuffled_pixels; [N, 0] otherwise
    mean: Tensor  # [N, K] of the clean training subset
    std: Tensor  # [N, K]

    def apply(self, inputs_nb: Tensor, samples_nb: Tensor) -> Tensor:
        """Inputs [N, B, K, H, W], not normalized, of the samples [N, B] under the noise."""
        affected = uniform(mix(self.keys[:, None], samples_nb, _AFFECTED)) < self.levels[:, None]
        network, position = affected.nonzero(as_tuple=True)
        if len(network) == 0:
            return inputs_nb
        images = inputs_nb[network, position].flatten(2)  # [A, K, P]
        changed = CHANGES[self.name](self, images, network, samples_nb[network, position])
        inputs_nb[network, position] = changed.view(-1, *inputs_nb.shape[2:])
        return inputs_nb

    def select(self, keep: Tensor) -> InputNoise:
        """The noise of the networks at these positions."""
        parts = (self.levels, self.keys, self.permutations, self.mean, self.std)
        return InputNoise(self.name, *(part[keep] for part in parts))

    def of_samples(self, network: Tensor, samples: Tensor) -> Tensor:
        """What an affected image's own draws follow from [A, 1]."""
        return mix(self.keys[network], samples, _ORDER)[:, None]


def _shuffled_pixels(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    order = noise.permutations[network]
    return images.gather(2, order[:, None].expand_as(images))


def _random_pixels(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    pixels = torch.arange(images.shape[2], device=images.device)
    order = mix(noise.of_samples(network, samples), pixels).argsort(dim=1, stable=True)
    return images.gather(2, order[:, None].expand_as(images))


def _gaussian(noise: InputNoise, images: Tensor, network: Tensor, samples: Tensor) -> Tensor:
    pixels = torch.arange(images.shape[1:].numel(), device=images.device)
    base = noise.of_samples(network, samples)
    radius = (-2 * (1 - uniform(mix(base, pixels, _RADIUS))).log()).sqrt()  # Box and Muller 1958
    normal = radius * (2 * torch.pi * uniform(mix(base, pixels, _ANGLE))).cos()
    scaled = normal.view(images.shape) * noise.std[network, :, None] + noise.mean[network, :, None]
    return scaled.to(images.dtype)


# The kinds of input noise, by their config name: what becomes of the affected images [A, K, P] of networks [A] and
# samples [A].
CHANGES: dict[str, Callable[[InputNoise, Tensor, Tensor, Tensor], Tensor]] = {
    "shuffled_pixels": _shuffled_pixels,
    "random_pixels": _random_pixels,
    "gaussian": _gaussian,
}


def build(configs: Sequence[Config], pixels: int, mean: Tensor, std: Tensor) -> InputNoise | None:
    """The input noise of networks of one stack; None for label noise, and where no image is affected."""
    name = configs[0].noise.name
    if name not in CHANGES or not any(config.noise.level for config in configs):
        return None
    streams = [rng.stream(config.seeds.noise, f"{rng.NOISE}/{name}") for config in configs]
    keys = np.array([stream.integers(-(1 << 63), 1 << 63, dtype=np.int64) for stream in streams])
    size = pixels if name == "shuffled_pixels" else 0
    permutations = np.stack([stream.permutation(size) for stream in streams])
    levels = torch.tensor([config.noise.level for config in configs], dtype=torch.float64, device=mean.device)
    return InputNoise(
        name,
        levels,
        torch.from_numpy(keys).to(mean.device),
        torch.from_numpy(permutations).to(mean.device),
        mean,
        std,
    )


def mix(key: Tensor, *counters: Tensor | int) -> Tensor:
    """Hash of int64 values, broadcast: the finalizer of SplitMix64 (Steele et al. 2014) after each counter is added."""
    for counter in counters:
        step = torch.as_tensor(counter, device=key.device) + 1
        key = key + step * -0x61C8864680B583EB  # the golden ratio as a signed number; int64 products wrap around
        key = (key ^ _shift(key, 30)) * -0x40A7B892E31B1A47
        key = (key ^ _shift(key, 27)) * -0x6B2FB644ECCEEE15
        key = key ^ _shift(key, 31)
    return key


def _shift(value: Tensor, bits: int) -> Tensor:
    """Logical shift to the right, which int64 tensors lack."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def uniform(hashed: Tensor) -> Tensor:
    """float64 in [0, 1) from the upper 53 bits of a hash."""
    return _shift(hashed, 11).double() * 2.0**-53
