"""Noise in the data, one file each: of the labels trained on, or of the pixels of images.

A noise is held against its base by processes that never train: a file imports torch inside its functions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initdist import rng
from initdist.config.families import Family
from initdist.config.schema import Config
from initdist.data.noise._base import Noise
from initdist.data.noise._pixels import TEST, InputNoise

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NOISES", "TEST", "InputNoise", "Noise", "noisy_inputs", "noisy_labels"]

NOISES = Family("noises", "noise.name", Noise)


def noisy_labels(config: Config, labels: np.ndarray, classes: int) -> np.ndarray:
    """The labels [M] of the whole training pool under a network's noise."""
    redraw = NOISES[config.noise.name].redraw
    return labels if redraw is None else redraw(labels, classes, config.noise.level, config.seeds.noise)


def noisy_inputs(configs: Sequence[Config], pixels: int, mean: Tensor, std: Tensor) -> InputNoise | None:
    """The noise of the images of one stack's networks; None where no image is affected."""
    import torch

    name = configs[0].noise.name
    change, draw = NOISES[name].change, NOISES[name].draw
    if change is None or not any(config.noise.level for config in configs):
        return None
    streams = [rng.stream(config.seeds.noise, f"{rng.NOISE}/{name}") for config in configs]
    keys = np.array([stream.integers(-(1 << 63), 1 << 63, dtype=np.int64) for stream in streams])
    drawn = np.stack([draw(stream, pixels) for stream in streams])
    levels = torch.tensor([config.noise.level for config in configs], dtype=torch.float64, device=mean.device)
    return InputNoise(
        change, levels, torch.from_numpy(keys).to(mean.device), torch.from_numpy(drawn).to(mean.device), mean, std
    )
