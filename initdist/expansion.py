"""Which leaves of a config change where some of its keys do: what is resolved again for each network of a stack.

To resolve a config takes OmegaConf milliseconds, nearly all of them for its interpolations.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

T = TypeVar("T")

_REFERENCE = re.compile(r"\$\{([\w.]+)([:}])")  # what it names, and whether that is a resolver
ENVIRONMENT = frozenset({"oc.env", "default_store"})  # resolvers that look at no key


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
