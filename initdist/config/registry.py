"""Discovery by walking a package and its entry points: a new model is one new file, with nothing central to edit.

And the names that a config may hold against those that code implements.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, get_type_hints

from initdist.errors import ConfigError, nearest


class Broken:
    """Stands for a plugin that could not be imported: only asking for it is an error."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error = error


@cache
def entries(package: str) -> dict[str, ModuleType | Broken]:
    """Name -> module: every public module directly inside a package, and every entry point of its group.

    The group of `initdist.data.datasets` is `initdist.datasets`. A module's name is the config's `name`. Raises
    ConfigError where two have the same.
    """
    group = f"{package.partition('.')[0]}.{package.rpartition('.')[2]}"
    path = importlib.import_module(package).__path__
    own = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))
    found: dict[str, ModuleType | Broken] = {name: importlib.import_module(f"{package}.{name}") for name in own}
    for point in entry_points(group=group):
        if point.name in found:
            raise ConfigError(f"{point.name} of {group} must have a name of its own, got {point.value} beside ours")
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever a plugin does wrong, the rest must go on
            found[point.name] = Broken(point.value, error)
    return found


def modules(package: str) -> dict[str, ModuleType]:
    """The entries that could be imported."""
    return {name: entry for name, entry in entries(package).items() if isinstance(entry, ModuleType)}


def lookup(package: str, key: str, name: str) -> ModuleType:
    """The module that a config names. Raises ConfigError with the nearest known names."""
    known = entries(package)
    if name not in known:
        raise ConfigError(unknown(key, name, known))
    entry = known[name]
    if isinstance(entry, Broken):
        raise ConfigError(f"{key}={name} needs {entry.name}, which cannot be imported: {entry.error!r}")
    return entry


def unknown(key: str, name: str, known: object) -> str:
    """Message for a name that is not registered, with the nearest one that is."""
    options = sorted(map(str, known))  # type: ignore[call-overload]
    return f"{key} must be one of {', '.join(options)}, got {name!r}{nearest(name, options)}"


def options(schema: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and rule of every field of a structured config, and of those inside it, that only takes some names."""
    hints = get_type_hints(schema)
    for spec in fields(schema):
        rule = spec.metadata.get("rule")
        if is_dataclass(hints[spec.name]):
            yield from options(hints[spec.name], f"{prefix}{spec.name}.")
        elif rule is not None and rule.options:
            yield f"{prefix}{spec.name}", rule


def implemented(registry: str) -> set[str]:
    """The names in a rule's `registry`, which is imported for it."""
    module, _, attribute = registry.rpartition(".")
    return set(getattr(importlib.import_module(module), attribute))


def check_options(schema: type, prefix: str = "") -> None:
    """Raises ConfigError for a name that a schema allows and no code implements.

    Called where training begins, since the implementations import torch. Without it such a name would be known only to
    whoever reads what became of the networks.
    """
    for key, rule in options(schema, prefix):
        if rule.registry and (unknown := sorted(set(rule.options) - implemented(rule.registry))):
            raise ConfigError(
                f"{key} must only allow what is implemented, got {', '.join(unknown)} in its rule but not in "
                f"{rule.registry}: implement it there, or take it out of the rule"
            )
