"""The names that a schema writes out against those that code implements, and what is said of one that is unknown."""

import importlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from initdist.errors import ConfigError, nearest


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
