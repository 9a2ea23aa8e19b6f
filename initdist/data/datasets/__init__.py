"""Datasets: one file each, holding `describe(config) -> Description` and `load(config) -> Arrays`.

`describe` is what a process that never trains needs: it checks (or downloads) the files and raises DatasetError before
any work starts. It must be cheap and must not import torch. `load` returns the whole dataset as arrays.
"""

from __future__ import annotations

from initdist.config.families import Family
from initdist.config.schema import DatasetConfig
from initdist.data.datasets._base import Arrays, Dataset, Description
from initdist.errors import ConfigError

__all__ = ["DATASETS", "Arrays", "Dataset", "Description", "describe", "load"]

DATASETS = Family("datasets", "dataset.name", Dataset)


def describe(config: DatasetConfig) -> Description:
    """Facts of the named dataset. Raises DatasetError if it is not there, ConfigError if it is too small."""
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


def load(config: DatasetConfig) -> Arrays:
    """The named dataset as arrays."""
    return DATASETS[config.name].load(config)
