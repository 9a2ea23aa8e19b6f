"""Which finished networks a command means: by sweep, and by values of their configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import Any

from initdist import names
from initdist.cli import compose
from initdist.cli.conditions import meets
from initdist.config import schema


@cache
def _keys() -> dict[str, dict[str, str]]:
    """Section -> leaf -> the text of its value in runs that are older than the leaf; of all models and optimizers."""
    sections: dict[str, list[type]] = {
        **{group: [node] for group, node in compose.GROUPS.items()},
        "stop": [schema.StopConfig],
        "seeds": [schema.SeedsConfig],
        "numerics": [schema.NumericsConfig],
        **{group: list(nodes.values()) for group, nodes in compose.chosen().items()},
    }
    return {
        section: {
            spec.name: str(spec.metadata.get("neutral"))
            for node in sections[section]
            for spec in fields(node)
            if spec.metadata.get("shown", True)
        }
        for section in schema.RESULT_SECTIONS
    }


@cache
def where_schema() -> type:
    """A dataclass with a field for each value that a network's run has as a param: None, a value or a list of them."""
    nodes = []
    for section, leaves in _keys().items():
        node = _class(f"Where_{section}", [(leaf, Any, field(default=None)) for leaf in leaves])
        nodes.append((section, node, field(default_factory=node)))
    return _class("Where", [*nodes, (names.SEED, Any, field(default=None))])


def _class(name: str, own: list[Any]) -> type:
    """A dataclass that is found here under its name, as pickle does."""
    globals()[name] = made = make_dataclass(name, own, namespace={"__module__": __name__})
    return made


def conditions(chosen: Any, prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """What an instance of `where_schema()` asks for: dotted key and the values that are let through."""
    for spec in fields(chosen):
        value = getattr(chosen, spec.name)
        if is_dataclass(value):
            yield from conditions(value, f"{prefix}{spec.name}.")
        elif value is not None:
            yield f"{prefix}{spec.name}", value if isinstance(value, list) else [value]


def matches(params: Mapping[str, str], wanted: Mapping[str, list[Any]]) -> bool:
    """Whether a run's params have one of the wanted values under each key."""
    return all(meets(_param(params, key), values) for key, values in wanted.items())


def before(key: str) -> str:
    """The text of a config key's value in runs that are older than the key; `None` or nothing where it has none."""
    section, _, leaf = key.rpartition(".")
    return _keys().get(section, {}).get(leaf, "")


def _param(params: Mapping[str, str], key: str) -> str:
    return params.get(key, before(key))
