"""Datasets: one file each, holding `describe(config) -> Description` and `load(config) -> Arrays`.

`describe` is what a process that never trains needs: it checks (or downloads) the files and raises DatasetError before
any work starts. It must be cheap and must not import torch. `load` returns the whole dataset as arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from initdist.config import registry
from initdist.config.schema import DatasetConfig
from initdist.errors import ConfigError


@dataclass(frozen=True)
class Description:
    """A dataset's facts. `fingerprint` enters every network's identity: name and version, or a hash of the content."""

    name: str
    fingerprint: str
    source: str
    input_shape: tuple[int, ...]  # channels, height, width
    classes: int
    pool: int  # training samples that subsets are drawn from
    test_size: int
    fewest: int | None = None  # training samples of the smallest class, where it is known


@dataclass(frozen=True)
class Arrays:
    """Inputs [M, channels, height, width], uint8 or float32, to be divided by `scale`; labels [M] int64."""

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    scale: float


def describe(config: DatasetConfig) -> Description:
    """Facts of the named dataset. Raises DatasetError if it is not there, ConfigError if it is too small."""
    description = registry.lookup(__name__, "dataset.name", config.name).describe(config)
    if config.train_size > description.pool:
        raise ConfigError(
            f"dataset.train_size must be at most {description.pool}, the training samples of {config.name}, "
            f"got {config.train_size}"
        )
    needed = -(-config.train_size // description.classes)
    if config.balanced and description.fewest is not None and needed > description.fewest:
        most = description.fewest * description.classes
        raise ConfigError(
            f"dataset.train_size must be at most {most} with dataset.balanced=true, since the smallest class of "
            f"{config.name} has {description.fewest} samples, got {config.train_size}"
        )
    return description


def load(config: DatasetConfig) -> Arrays:
    """The named dataset as arrays."""
    return registry.lookup(__name__, "dataset.name", config.name).load(config)
