"""What the file of a dataset holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from initdist.config.schema import DatasetConfig


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


@dataclass(frozen=True)
class Dataset:
    """describe: its facts; cheap, without torch, and nothing is downloaded for it. Raises DatasetError.
    load: the whole dataset.
    options: the fields of its config that it reads and not every dataset does.
    prepare: checks the files, downloading them first if that is allowed; without torch where they are there. Raises
    DatasetError that names the path, the files expected and how to place them; NotDownloaded if it may not.
    """

    describe: Callable[[DatasetConfig], Description]
    load: Callable[[DatasetConfig], Arrays]
    options: tuple[str, ...] = ()
    prepare: Callable[[DatasetConfig], None] | None = None
