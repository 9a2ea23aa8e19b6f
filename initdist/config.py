"""From a composed config to the networks it describes: expansion, validation, identity."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist import consistency, expansion, names, registry
from initdist.errors import ConfigError
from initdist.schema import RESULT_SECTIONS, STACKABLE, Config

T = TypeVar("T")

# Bump when a change of code alters the results of an unchanged config. See CONTRIBUTING.md.
NUMERICS_VERSION = 2


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
        changing = expansion.moving(one, axes) if axes else None
        for values in itertools.product(*axes.values()):
            for key, value in zip(axes, values, strict=True):  # every network sets the same keys
                OmegaConf.update(one, key, value)
            if expanded and changing is not None:
                config = expansion.moved(expanded[0], one, changing)
                check_rules(config)
            else:
                config = resolved(one, Config)
            consistency.check(config)
            expanded.append(config)
    return expanded


def resolved(cfg: DictConfig, schema: type[T]) -> T:
    """An instance of a schema from a composed config. Raises ConfigError."""
    with _named():
        config = OmegaConf.to_object(cfg)
    assert isinstance(config, schema)
    check_rules(config)
    return config


@contextmanager
def _named() -> Iterator[None]:
    """Raises ConfigError, which names the key, for what OmegaConf refuses."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'config'}: {error.msg or error}".splitlines()[0]) from error


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    for spec in fields(node):
        value = getattr(node, spec.name)
        if is_dataclass(value):
            yield from leaves(value, f"{prefix}{spec.name}.")
        else:
            yield f"{prefix}{spec.name}", value, spec.metadata


def check_rules(config: Any) -> None:
    """Raise ConfigError for the first leaf whose value breaks its rule."""
    for key, value, metadata in leaves(config):
        rule = metadata.get("rule")
        if rule is not None and not rule.holds(value):
            raise ConfigError(f"{key} must be {rule.text}, got {value!r}{registry.nearest(str(value), rule.options)}")


def result_leaves(config: Config) -> dict[str, Any]:
    """Every leaf that affects the result, dotted key -> value."""
    return {
        f"{section}.{key}": value
        for section in RESULT_SECTIONS
        for key, value, metadata in leaves(getattr(config, section))
        if metadata.get("identity", True)
    }


def params(config: Config) -> dict[str, Any]:
    """What a network's run shows as params: its result-affecting leaves, and the seed they come from."""
    return {**result_leaves(config), names.SEED: config.seed}


def identity(config: Config, fingerprint: str) -> str:
    """SHA-256 of the canonical JSON of the result-affecting config, the data's fingerprint and the numerics version.

    A leaf equal to its declared neutral value is left out, so that fields can be added without touching old runs.
    """
    neutral = {
        f"{section}.{key}": metadata["neutral"]
        for section in RESULT_SECTIONS
        for key, _, metadata in leaves(getattr(config, section))
        if "neutral" in metadata
    }
    hashed = {k: v for k, v in result_leaves(config).items() if not (k in neutral and v == neutral[k])}
    document = {"numerics": NUMERICS_VERSION, "data": fingerprint, **hashed}
    document = {k: v + 0.0 if isinstance(v, float) else v for k, v in document.items()}  # -0.0 is 0.0
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_name(config: Config) -> str:
    """Short name for people: `mlp w64 n1280 p0.5 s3`."""
    return (
        f"{config.model.name} w{config.model.width} n{config.dataset.train_size} p{config.noise.level:g} s{config.seed}"
    )
