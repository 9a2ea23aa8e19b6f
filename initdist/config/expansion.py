"""From a composed config to one ordinary config for each network of its stack."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist.config import families, validation
from initdist.config.schema import STACKABLE, Config
from initdist.errors import ConfigError

T = TypeVar("T")


def varied(cfg: DictConfig) -> dict[str, list[Any]]:
    """The axes that `vary` fills in, dotted key -> values, in the order of STACKABLE."""
    axes = {}
    for key in STACKABLE:
        values = OmegaConf.select(cfg, f"vary.{key}")
        if values:
            axes[key] = list(values)
            if len(set(axes[key])) != len(axes[key]):
                raise ConfigError(f"vary.{key} must not repeat a value, got {axes[key]}")
    return axes


@families.blamed()
def networks(cfg: DictConfig) -> list[Config]:
    """Expand a composed, unresolved config into one ordinary config for each network of its stack.

    Expansion comes before interpolations resolve, so that `seeds.init: ${seed}` follows a varied `seed`.
    Raises ConfigError, naming key, rule and value, for a value that breaks its rule.
    """
    with _named():
        axes = varied(cfg)
        one = cfg.copy()
        one.vary = None  # an ordinary single-network config
        expanded: list[Config] = []
        for values in itertools.product(*axes.values()):
            for key, value in zip(axes, values, strict=True):  # every network sets the same keys
                OmegaConf.update(one, key, value)
            config = resolved(one, Config)
            validation.check(config)
            expanded.append(config)
    return expanded


def resolved(cfg: DictConfig, schema: type[T]) -> T:
    """An instance of a schema from a composed config. Raises ConfigError."""
    with _named():
        config = OmegaConf.to_object(cfg)
    assert isinstance(config, schema)
    validation.check_rules(config)
    return config


@contextmanager
def _named() -> Iterator[None]:
    """Raises ConfigError, which names the key, for what OmegaConf refuses."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'config'}: {error.msg or error}".splitlines()[0]) from error
