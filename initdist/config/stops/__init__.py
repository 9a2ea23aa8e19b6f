"""Rules by which training ends before the epoch limit, one file each, with the fields of `stop` that are its own.

All are on plain numbers of a network's own training set at an epoch's end. The name of a rule's file is the stop reason
of the networks that meet it.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_args, get_type_hints

from initdist.config.families import Family
from initdist.config.stops._base import EpochFacts, Stop
from initdist.errors import ConfigError

__all__ = ["STOPS", "EpochFacts", "Stop", "axes", "check", "configs", "in_order"]

STOPS = Family("stops", "stop", Stop)


@cache
def in_order() -> tuple[tuple[str, Stop], ...]:
    """Names and rules. Of several that are met at once, the first is the stop reason."""
    return tuple(sorted(STOPS.sound().items(), key=lambda one: (one[1].rank, one[0])))


def configs() -> list[type]:
    """The fields of all rules: what `StopConfig` is made of."""
    return [stop.Config for _, stop in in_order()]


def axes() -> dict[str, type]:
    """The numbers among the fields, `stop.train_loss` -> float: networks that differ in these train in one stack."""
    kinds: dict[str, Any] = {}
    for config in configs():
        kinds |= {f"stop.{name}": (get_args(hint) or (hint,))[0] for name, hint in get_type_hints(config).items()}
    return {key: kind for key, kind in kinds.items() if kind in (int, float)}


def check() -> None:
    """Raises ConfigError for a rule that is not as it must be, and for two that have a field of one name."""
    owners: dict[str, str] = {"max_epochs": "the epoch limit"}
    for name in STOPS:
        for spec in fields(STOPS[name].Config):
            if spec.name in owners:
                raise ConfigError(f"stop.{spec.name} must belong to one rule, got {owners[spec.name]} and {name}")
            owners[spec.name] = name
