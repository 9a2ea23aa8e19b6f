"""From a composed config to one ordinary config for each network of its stack.

To resolve a config takes OmegaConf milliseconds, nearly all of them for its interpolations. So the first network's is
resolved whole, and the others take from theirs only the leaves that change.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist.config import validation
from initdist.config.schema import STACKABLE, Config
from initdist.errors import ConfigError

T = TypeVar("T")

_REFERENCE = re.compile(r"\$\{([\w.]+)([:}])")  # what it names, and whether that is a resolver
ENVIRONMENT = frozenset({"oc.env", "default_store"})  # resolvers that look at no key


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
        changing = moving(one, axes) if axes else None
        for values in itertools.product(*axes.values()):
            for key, value in zip(axes, values, strict=True):  # every network sets the same keys
                OmegaConf.update(one, key, value)
            if expanded and changing is not None:
                config = moved(expanded[0], one, changing)
                validation.check_rules(config)
            else:
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


def moving(cfg: DictConfig, axes: Collection[str]) -> list[str] | None:
    """The axes and the leaves that refer to them, through others too, and all of which that cannot be told.

    None where no list of single leaves says it.
    """
    raw = dict(_leaves(OmegaConf.to_container(cfg, resolve=False)))
    if any("${" in repr(value) for value in raw.values() if not isinstance(value, str)):
        return None
    interpolated = {key: value for key, value in raw.items() if isinstance(value, str) and "${" in value}
    found = dict.fromkeys(axes)
    while new := [
        key for key, value in interpolated.items() if key not in found and _refers(value, found.keys(), raw.keys())
    ]:
        found.update(dict.fromkeys(new))
    return list(found)


def moved(config: T, cfg: DictConfig, keys: Collection[str]) -> T:
    """A copy of a resolved config with the values that these leaves have in another, unresolved one."""
    one = copy.deepcopy(config)
    for key in keys:
        value = OmegaConf.select(cfg, key)
        *sections, leaf = key.split(".")
        node: Any = one
        for section in sections:
            node = node[section] if isinstance(node, dict) else getattr(node, section)
        value = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        if isinstance(node, dict):
            node[leaf] = value
        else:
            setattr(node, leaf, value)
    return one


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _refers(value: str, changing: Collection[str], leaves: Collection[str]) -> bool:
    """Whether an interpolation may change: all but what refers to the environment, or to leaves that stay."""
    references = _REFERENCE.findall(value)
    if len(references) != value.count("${"):  # relative ones, or those with expressions for names
        return True
    return any(
        name not in ENVIRONMENT if sign == ":" else name in changing or name not in leaves for name, sign in references
    )
