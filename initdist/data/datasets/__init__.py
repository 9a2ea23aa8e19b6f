"""Datasets: one file each, holding `describe(config) -> Description` and `load(config) -> Arrays`.

`describe` is what a process that never trains needs: cheap, and without torch. `prepare`, where a dataset has it,
checks (or downloads) the files before any work starts. `load` returns the whole dataset. All raise DatasetError.
"""

from __future__ import annotations

from initdist.config.families import Family
from initdist.config.schema import DatasetConfig
from initdist.data.datasets._base import Arrays, Dataset, Description
from initdist.errors import ConfigError

__all__ = ["DATASETS", "Arrays", "Dataset", "Description", "describe", "load", "prepare"]

DATASETS = Family("datasets", "dataset.name", Dataset)


def describe(config: DatasetConfig) -> Description:
    """Facts of the named dataset. Raises ConfigError if it is too small."""
    description = DATASETS[config.name].describe(config)
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


def prepare(config: DatasetConfig) -> None:
    """Check that the named dataset is there and whole, downloading it first if that is allowed. Raises DatasetError."""
    if (check := DATASETS[config.name].prepare) is not None:
        check(config)


def load(config: DatasetConfig) -> Arrays:
    """The named dataset as arrays."""
    return DATASETS[config.name].load(config)
