"""Radii that are multiples of how far the same network moves without constraint: looked up in the store, as numbers.

Before a network has an identity: the number is part of it, wherever it came from.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from initdist import names
from initdist.config import identity
from initdist.config.schema import Config, ConstraintConfig, TrackingConfig
from initdist.data import datasets
from initdist.errors import ConfigError
from initdist.stacks.constraints import CONSTRAINTS, ORIGIN

NORM = names.measure("param_norm")  # its square


def resolved(configs: Sequence[Config]) -> list[Config]:
    """The configs, each `constraint.of_free` with the radius that it stands for.

    Raises ConfigError, with the command that trains them, where networks without constraint are missing.
    """
    asked = [config for config in configs if is_open(config)]
    if not asked:
        return list(configs)
    free = {id(config): _free(config) for config in asked}
    found, why = _metrics(sorted(set(free.values())), asked[0].tracking)
    missing = [config for config in asked if free[id(config)] not in found]
    if missing:
        raise ConfigError(_missing(missing, why))
    return [_with_radius(one, found[free[id(one)]]) if id(one) in free else one for one in configs]


def is_open(config: Config) -> bool:
    """Whether a config's radius is still to be looked up."""
    return config.constraint.of_free is not None and config.constraint.radius is None


def _free(config: Config) -> str:
    """The identity of the same network without constraint."""
    fingerprint = datasets.describe(config.dataset).fingerprint
    return identity.identity(replace(config, constraint=ConstraintConfig()), fingerprint)


def _metrics(identities: Sequence[str], settings: TrackingConfig) -> tuple[dict[str, Mapping[str, float]], str]:
    """The final metrics of those networks that have finished, and why there are none where there is no store."""
    from initdist import tracking

    try:
        store = tracking.existing(settings.uri, settings.experiment)
    except tracking.TrackingError as error:
        return {}, str(error)
    runs = tracking.asked(store, lambda: tracking.finished_among(store, identities))
    ids = [run.run_id for run in runs.values()]
    found = tracking.asked(store, lambda: tracking.metrics_of(store, ids, (names.DISTANCE, NORM)))
    return {one: found[run.run_id] for one, run in runs.items()}, ""


def _missing(missing: Sequence[Config], why: str) -> str:
    first, own = missing[0], missing[0].tracking
    name = identity.run_name(replace(first, constraint=ConstraintConfig()))
    more = f" and {len(missing) - 1} more" if missing[1:] else ""
    kept = [
        one
        for one in sys.argv[1:]
        if not one.lstrip("+~").startswith(("constraint=", "constraint.", "vary.constraint."))
    ]
    command = shlex.join(["python", "-m", "initdist.train", *kept, "constraint=none"])
    where = why or f"experiment {own.experiment!r} of {own.uri} does not have it"
    return (
        f"constraint.of_free must be of a network that has finished without constraint, got "
        f"{first.constraint.of_free!r} of {name}{more}: {where}. Train it first: {command}"
    )


def _with_radius(config: Config, metrics: Mapping[str, float]) -> Config:
    own = config.constraint
    assert own.of_free is not None
    metric, power = (NORM, 0.5) if CONSTRAINTS[own.name].centre == ORIGIN else (names.DISTANCE, 1.0)
    free = metrics.get(metric, math.nan) ** power
    if not (math.isfinite(free) and free > 0):
        raise ConfigError(
            f"constraint.of_free must be of a network with a finite {metric} above 0, got {own.of_free!r} of "
            f"{identity.run_name(replace(config, constraint=ConstraintConfig()))} with {metrics.get(metric)}; give "
            f"constraint.radius instead"
        )
    return replace(config, constraint=replace(own, radius=own.of_free * free))
