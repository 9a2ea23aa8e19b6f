"""Whether the values of a config hold: each under its own rule, and all of them together.

A value without effect is refused as well: it would make two identities of one network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from initdist.config.schema import Config, DatasetConfig, OptimizerConfig, StopConfig
from initdist.errors import ConfigError, nearest

# Fields of the optimizer that not every one of them reads: by optimizer and by schedule.
_OF_OPTIMIZER = {
    "momentum": ("momentum",),
    "nesterov": ("momentum",),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "eps": ("adam", "adamw"),
}
_OF_SCHEDULE = {"schedule_epochs": ("cosine", "step"), "schedule_factor": ("step",)}


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
            raise ConfigError(f"{key} must be {rule.text}, got {value!r}{nearest(str(value), rule.options)}")


def check(config: Config) -> None:
    """Raise ConfigError, naming key, rule and value, for the first value that does not go with the others."""
    problems = (_unused(config.optimizer), _schedule(config), _stop(config.stop), _dataset(config.dataset))
    for problem in itertools.chain(*problems):
        raise ConfigError(problem)


def _unused(own: OptimizerConfig) -> Iterator[str]:
    neutral = {spec.name: spec.metadata.get("neutral") for spec in fields(own)}
    for chooser, readers in (("name", _OF_OPTIMIZER), ("schedule", _OF_SCHEDULE)):
        chosen = getattr(own, chooser)
        for key, users in readers.items():
            value = getattr(own, key)
            if chosen not in users and value != neutral[key]:
                yield (
                    f"optimizer.{key} must be {neutral[key]!r} for optimizer.{chooser}={chosen}, "
                    f"which does not use it, got {value!r}"
                )
    if own.nesterov and own.momentum == 0:
        yield f"optimizer.momentum must be above 0 for optimizer.nesterov=true, got {own.momentum!r}"


def _dataset(own: DatasetConfig) -> Iterator[str]:
    for key, neutral in (("image_size", 0), ("grayscale", False)):
        if own.name != "images" and getattr(own, key) != neutral:
            yield f"dataset.{key} must be {neutral} for dataset={own.name}: only images can be converted"


def _schedule(config: Config) -> Iterator[str]:
    own, last = config.optimizer, config.stop.max_epochs
    if own.schedule == "step" and own.schedule_epochs == 0:
        yield "optimizer.schedule_epochs must be at least 1 for optimizer.schedule=step, got 0"
    if own.schedule == "cosine" and 0 < own.schedule_epochs < last:
        yield (
            f"optimizer.schedule_epochs must be at least stop.max_epochs={last} for optimizer.schedule=cosine, "
            f"whose rate is 0 from there on, or 0 for just that, got {own.schedule_epochs}"
        )


def _stop(stop: StopConfig) -> Iterator[str]:
    if stop.margin is None and stop.fraction > 0:
        yield f"stop.margin must be given where stop.fraction is above 0 ({stop.fraction!r}), got None"
    if stop.margin is not None and stop.fraction == 0:
        yield f"stop.fraction must be above 0 where stop.margin is given ({stop.margin!r}), got {stop.fraction!r}"
