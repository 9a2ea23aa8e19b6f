"""Data of a stack: shared tensors on the device, and for each network index rows, labels and normalization.

N networks, M training pool, m training samples of a network, T test samples, K channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.config.schema import Config, DatasetConfig
from initdist.data import datasets, noise
from initdist.data.datasets import Description
from initdist.data.noise import InputNoise

# Samples that are made ready at a time; memory that a stack's ready training inputs may take.
BLOCK = 512
CPU_BYTES = 512 * 2**20
# A variance of no more than this share of the mean square is what rounding leaves of a constant channel.
CONSTANT = 1e-13
CUDA_SHARE = 0.25


@dataclass(frozen=True)
class Shared:
    """A whole dataset on a device: inputs float32 in [0, 1], labels, and the pool's pixel moments per channel."""

    description: Description
    pool_inputs: Tensor  # [M, K, H, W]
    test_inputs: Tensor  # [T, K, H, W]
    test_labels: Tensor  # [T]
    pool_labels: np.ndarray  # [M], clean
    moments: np.ndarray  # [2, M, K] float64: mean pixel and mean squared pixel of each training image


@dataclass(frozen=True)
class StackData:
    """What N networks train and are tested on."""

    shared: Shared
    rows: Tensor  # [N, m] indices into the pool
    labels: Tensor  # [N, m] the labels trained on
    mean: Tensor  # [N, K] from the clean training subset
    std: Tensor  # [N, K]
    noise: InputNoise | None = None  # of training and test inputs alike
    inputs: Tensor | None = None  # [N, m, K, H, W] the training inputs, noisy and normalized, where there is room

    @property
    def train_size(self) -> int:
        return self.rows.shape[1]

    @cached_property
    def _starts(self) -> Tensor:
        """Where each network's samples begin among those of all [N, 1]."""
        return torch.arange(0, self.rows.numel(), self.train_size, device=self.rows.device)[:, None]

    @property
    def test_size(self) -> int:
        return len(self.shared.test_labels)

    def train_batch(self, order: Tensor) -> tuple[Tensor, Tensor]:
        """Normalized inputs [N, B, K, H, W] and labels [N, B] at these positions [N, B] of each network's rows."""
        labels = self.labels.gather(1, order)
        if self.inputs is not None:
            return _taken(self.inputs.flatten(0, 1), order + self._starts), labels
        rows = self.rows.gather(1, order)
        return self._finished(_taken(self.shared.pool_inputs, rows), rows), labels

    def train_slice(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """As `train_batch`, for the positions start..stop of every network."""
        if self.inputs is not None:
            return self.inputs[:, start:stop], self.labels[:, start:stop]
        positions = torch.arange(start, min(stop, self.train_size), device=self.rows.device)
        return self.train_batch(positions.expand(len(self.rows), -1))

    def test_slice(self, start: int, stop: int, every: int = 1) -> tuple[Tensor, Tensor]:
        """Test inputs [N, B, K, H, W], under each network's own noise and normalization, and clean labels [N, B].

        Positions count in the test samples, or with `every` in each so many-th of them.
        """
        n = len(self.rows)
        part = slice(start * every, stop * every, every)
        inputs = self.shared.test_inputs[part].expand(n, -1, -1, -1, -1).clone()
        samples = torch.arange(self.test_size, device=self.rows.device)[part] + noise.TEST
        return self._finished(inputs, samples.expand(n, -1)), self.shared.test_labels[part].expand(n, -1)

    def select(self, keep: Tensor) -> StackData:
        kept_noise = self.noise and self.noise.select(keep)
        inputs = None if self.inputs is None else self.inputs[keep]
        parts = (self.rows[keep], self.labels[keep], self.mean[keep], self.std[keep])
        return StackData(self.shared, *parts, kept_noise, inputs)

    def shrink(self, keep: Sequence[int]) -> StackData:
        """As `select`, without copying the training inputs: those of networks from behind move into the gaps.

        To be called with increasing positions but for those that fill gaps; `self` cannot be used any more.
        """
        rest = replace(self, inputs=None).select(torch.tensor(keep, device=self.rows.device))
        if self.inputs is None:
            return rest
        for place, source in enumerate(keep):
            if source != place:
                assert source >= len(keep), keep
                self.inputs[place].copy_(self.inputs[source])
        return replace(rest, inputs=self.inputs[: len(keep)])

    def prepared(self) -> StackData:
        """With the training inputs made ready once for all epochs, if they do not take too much room."""
        shape = (*self.rows.shape, *self.shared.description.input_shape)
        if 4 * math.prod(shape) > _room(self.rows.device):
            return self
        inputs = torch.empty(shape, device=self.rows.device)
        for start in range(0, self.train_size, BLOCK):
            inputs[:, start : start + BLOCK] = self.train_slice(start, start + BLOCK)[0]
        return replace(self, inputs=inputs)

    def _finished(self, inputs: Tensor, samples: Tensor) -> Tensor:
        """Under noise and normalized; in place."""
        if self.noise is not None:
            inputs = self.noise.apply(inputs, samples)
        return inputs.sub_(self.mean[:, None, :, None, None]).div_(self.std[:, None, :, None, None])


def build(configs: Sequence[Config], device: torch.device) -> StackData:
    """Data of networks whose configs differ only in stackable axes."""
    shared = _load(_key(configs[0].dataset), str(device))
    built = [_network(config, shared) for config in configs]
    rows, labels, mean, std = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*built, strict=True))
    size = math.prod(shared.description.input_shape[1:])
    return StackData(shared, rows, labels, mean, std, noise.noisy_inputs(configs, size, mean, std)).prepared()


def _taken(inputs: Tensor, rows: Tensor) -> Tensor:
    """Inputs [N, B, ...] at these rows [N, B]."""
    return inputs.index_select(0, rows.flatten()).view(*rows.shape, *inputs.shape[1:])


def _room(device: torch.device) -> int:
    """Bytes that the training inputs of one stack may take."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * CUDA_SHARE)
    return CPU_BYTES


def _network(config: Config, shared: Shared) -> tuple[np.ndarray, ...]:
    """Rows, labels, mean and std of one network."""
    about = shared.description
    if config.dataset.balanced:
        rows = rng.balanced_subset(config.seeds.data, shared.pool_labels, config.dataset.train_size)
    else:
        rows = rng.subset(config.seeds.data, about.pool, config.dataset.train_size)
    labels = noise.noisy_labels(config, shared.pool_labels, about.classes)[rows]
    mean, square = shared.moments[:, rows].mean(axis=1)
    variance = square - mean**2
    std = np.sqrt(np.where(variance > CONSTANT * square, variance, 1))
    return rows, labels, mean.astype(np.float32), std.astype(np.float32)


def _key(config: DatasetConfig) -> tuple[Any, ...]:
    """What a loaded dataset depends on: all but the subset that is drawn from it."""
    return astuple(replace(config, train_size=2, balanced=False, download=False))


@lru_cache(maxsize=2)
def _load(key: tuple[Any, ...], device: str) -> Shared:
    config = DatasetConfig(*key)
    description = datasets.describe(config)
    arrays = datasets.load(config)
    return Shared(
        description=description,
        pool_inputs=_scaled(arrays.train_inputs, arrays.scale, device),
        test_inputs=_scaled(arrays.test_inputs, arrays.scale, device),
        test_labels=torch.from_numpy(arrays.test_labels).to(device),
        pool_labels=arrays.train_labels,
        moments=_moments(arrays.train_inputs, arrays.scale),
    )


def _scaled(inputs: np.ndarray, scale: float, device: str) -> Tensor:
    return torch.from_numpy(inputs).to(device).float().div_(scale)


def _moments(inputs: np.ndarray, scale: float) -> np.ndarray:
    """[2, M, K] mean and mean square of each image's scaled pixels, in blocks that spare a float64 copy of it all."""
    blocks = []
    for start in range(0, len(inputs), BLOCK):
        pixels = inputs[start : start + BLOCK].reshape(-1, inputs.shape[1], inputs[0, 0].size) / np.float64(scale)
        blocks.append(np.stack([pixels.mean(-1), np.square(pixels, out=pixels).mean(-1)]))
    return np.concatenate(blocks, axis=1)
