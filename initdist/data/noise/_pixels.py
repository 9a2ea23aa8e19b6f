"""Input noise: a fraction of the images, in training and test alike, loses what its pixels say (Zhang et al. 2017,
arXiv 1611.03530).

Everything follows from (seed, sample index, pixel) by a hash on the device, so nothing is stored a network and an image
is the same in every epoch, stack and micro-batch. The images affected at a lower level are among those at a higher one.

N networks, B batch, K channels, P pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TEST = 1 << 40  # test samples have indices of their own, above those of the training pool

_AFFECTED, _OWN = 0, 1  # what a hash is used for


@dataclass(frozen=True)
class InputNoise:
    """The input noise of N networks."""

    change: Callable[[InputNoise, Tensor, Tensor, Tensor], Tensor]  # as in `Noise`
    levels: Tensor  # [N] float64, fraction of images affected
    keys: Tensor  # [N] int64, from each network's noise seed
    drawn: Tensor  # [N, ...] what the noise has drawn for each network
    mean: Tensor  # [N, K] of the clean training subset
    std: Tensor  # [N, K]

    def apply(self, inputs_nb: Tensor, samples_nb: Tensor) -> Tensor:
        """Inputs [N, B, K, H, W], not normalized, of the samples [N, B] under the noise."""
        affected = uniform(mix(self.keys[:, None], samples_nb, _AFFECTED)) < self.levels[:, None]
        network, position = affected.nonzero(as_tuple=True)
        if len(network) == 0:
            return inputs_nb
        images = inputs_nb[network, position].flatten(2)  # [A, K, P]
        changed = self.change(self, images, network, samples_nb[network, position])
        inputs_nb[network, position] = changed.view(-1, *inputs_nb.shape[2:])
        return inputs_nb

    def select(self, keep: Tensor) -> InputNoise:
        """The noise of the networks at these positions."""
        parts = (self.levels, self.keys, self.drawn, self.mean, self.std)
        return InputNoise(self.change, *(part[keep] for part in parts))

    def of_samples(self, network: Tensor, samples: Tensor) -> Tensor:
        """What an affected image's own draws follow from [A, 1]."""
        return mix(self.keys[network], samples, _OWN)[:, None]


def mix(key: Tensor, *counters: Tensor | int) -> Tensor:
    """Hash of int64 values, broadcast: the finalizer of SplitMix64 (Steele et al. 2014) after each counter is added."""
    import torch

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
