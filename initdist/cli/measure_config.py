"""The typed configuration of `python -m initdist.measure`; `conf/measure.yaml` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from initdist.cli import compose, where
from initdist.config import expansion
from initdist.config.rules import at_least, matching, option
from initdist.config.schema import MeasuresConfig, is_device


@dataclass
class Data:
    root: str = "data"
    download: bool = True
    cache: str = "~/.cache/initdist"


@dataclass
class Tracking:
    uri: str = MISSING
    experiment: str = option("initdist", matching("a non-empty name", lambda v: bool(v.strip())))
    patience: float = option(300.0, at_least(0))  # seconds to wait for a store that does not answer


@dataclass
class MeasureConfig:
    """Root of the configuration. `where` is an instance of `where.where_schema()`."""

    measures: MeasuresConfig = field(default_factory=MeasuresConfig)
    sweep: str | None = None
    where: Any = None
    dataset: Data = field(default_factory=Data)
    tracking: Tracking = field(default_factory=Tracking)
    device: str = option("auto", matching("auto, cpu, cuda or cuda:<index>", is_device))
    workers: int = option(0, at_least(0))
    dry_run: bool = False


def register() -> None:
    """Make the schema known to Hydra. Safe to call twice."""
    compose.register()
    store = ConfigStore.instance()
    store.store(group="schema", name="measure", node=MeasureConfig, package="_global_")
    store.store(group="schema", name="where", node=where.where_schema(), package="where")


def resolved(cfg: DictConfig) -> MeasureConfig:
    """The settings of a composed config. Raises ConfigError that names key, rule and value."""
    return expansion.resolved(cfg, MeasureConfig)
