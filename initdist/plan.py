"""What a command asks for: its networks, checked as far as can be without training, each with its identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from initdist import models, names
from initdist.config import expansion, identity, registry
from initdist.config.schema import STACKABLE, Config
from initdist.data import datasets
from initdist.data.datasets import Description
from initdist.errors import ConfigError


@dataclass(frozen=True)
class Network:
    """One network to train: the unit of record."""

    config: Config
    identity: str
    data: Description

    @property
    def name(self) -> str:
        return identity.run_name(self.config)


def networks(cfg: DictConfig) -> list[Network]:
    """The networks of a composed, unresolved config, without repetitions. Raises UserError before anything is done."""
    return list({network.identity: network for network in map(network, expansion.networks(cfg))}.values())


def network(config: Config) -> Network:
    """Check one network's config against the world: its model, measures and data. Raises UserError."""
    _check_model(config)
    _check_measures(config.measures.names)
    data = datasets.describe(config.dataset)
    models.check(config.model, data.input_shape)
    return Network(config, identity.identity(config, data.fingerprint), data)


def shape(config: Config) -> tuple[tuple[str, Any], ...]:
    """What networks of one stack have in common: every result-affecting leaf that is not stackable."""
    leaves = identity.result_leaves(config)
    return tuple((key, value) for key, value in leaves.items() if key not in STACKABLE)


def _check_model(config: Config) -> None:
    module = registry.lookup("initdist.models", "model.name", config.model.name)
    if type(config.model) is not module.Config:
        raise ConfigError(
            f"model.name must be that of the chosen model config, got {config.model.name!r}; "
            f"choose the model with model={config.model.name}"
        )


def _check_measures(selection: Sequence[str]) -> None:
    if any(entry not in (*names.MEASURE_GROUPS, names.ALL_MEASURES) for entry in selection):
        from initdist import measures  # imports torch, so only where a single measure is named

        measures.expand(selection)
