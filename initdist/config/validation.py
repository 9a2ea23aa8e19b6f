"""Whether the values of a config hold: each under its own rule, and all of them together.

A value without effect is refused as well: it would make two identities of one network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from initdist.config import families, stops
from initdist.config.schema import Config, ConstraintConfig, DatasetConfig, OptimizerConfig, StopConfig
from initdist.errors import ConfigError, nearest

# Fields of the optimizer that every one of them reads, and those that not every schedule does.
_OF_ALL = {"weight_decay", "clip_norm", "schedule", "schedule_epochs", "schedule_factor"}
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
            raise ConfigError(f"{key} must be {rule.words}, got {value!r}{nearest(str(value), rule.options)}")


def check(config: Config) -> None:
    """Raise ConfigError, naming key, rule and value, for the first value that does not go with the others."""
    problems = (
        _unused(config.optimizer),
        _schedule(config),
        _stop(config.stop),
        _dataset(config.dataset),
        _constraint(config.constraint),
    )
    for problem in itertools.chain(*problems):
        raise ConfigError(problem)


def _unused(own: OptimizerConfig) -> Iterator[str]:
    neutral = {spec.name: spec.metadata["neutral"] for spec in fields(own) if "neutral" in spec.metadata}
    rule = families.family("optimizers")[own.name]
    of_others = neutral.keys() - _OF_ALL - {*rule.coefficients, *rule.switches}
    of_schedules = {key for key, users in _OF_SCHEDULE.items() if own.schedule not in users}
    for chooser, unused in (("name", of_others), ("schedule", of_schedules)):
        for key in sorted(unused):
            if (value := getattr(own, key)) != neutral[key]:
                yield (
                    f"optimizer.{key} must be {neutral[key]!r} for optimizer.{chooser}={getattr(own, chooser)}, "
                    f"which does not use it, got {value!r}"
                )
    if own.nesterov and own.momentum == 0:
        yield f"optimizer.momentum must be above 0 for optimizer.nesterov=true, got {own.momentum!r}"


def _dataset(own: DatasetConfig) -> Iterator[str]:
    neutral = {spec.name: spec.metadata["neutral"] for spec in fields(own) if "neutral" in spec.metadata}
    for key in sorted(neutral.keys() - {"balanced"} - {*families.family("datasets")[own.name].options}):
        if (value := getattr(own, key)) != neutral[key]:
            yield f"dataset.{key} must be {neutral[key]} for dataset={own.name}, which does not use it, got {value!r}"


def _schedule(config: Config) -> Iterator[str]:
    own, last = config.optimizer, config.stop.max_epochs
    if own.schedule == "step" and own.schedule_epochs == 0:
        yield "optimizer.schedule_epochs must be at least 1 for optimizer.schedule=step, got 0"
    if own.schedule == "cosine" and 0 < own.schedule_epochs < last:
        yield (
            f"optimizer.schedule_epochs must be at least stop.max_epochs={last} for optimizer.schedule=cosine, "
            f"whose rate is 0 from there on, or 0 for just that, got {own.schedule_epochs}"
        )


def _constraint(own: ConstraintConfig) -> Iterator[str]:
    wanted = families.family("constraints")[own.name].reads
    given = {key: value for key in ("radius", "of_free", "decay") if (value := getattr(own, key)) is not None}
    for key, value in given.items():
        if key not in wanted:
            yield f"constraint.{key} must be null for constraint={own.name}, which does not use it, got {value!r}"
    told = [f"constraint.{key}" for key in wanted]
    if wanted and not given:
        yield f"{' or '.join(told)} must be given for constraint={own.name}, got {'neither' if told[1:] else 'null'}"
    if len(given) > 1:
        both = " and ".join(f"constraint.{key}={value!r}" for key, value in given.items())
        yield f"{' and '.join(told)} must not both be given, got {both}; give one of them"


def _stop(stop: StopConfig) -> Iterator[str]:
    for _, rule in stops.in_order():
        yield from rule.problems(stop)
