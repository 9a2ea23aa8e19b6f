"""The registry of measures and their computation for a whole stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from initdist.errors import ConfigError
from initdist.measures._subject import Subject
from initdist.registry import unknown

# One value a network [N], or such values by layer label.
Values = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class Measure:
    """A measure and what its values mean.

    orientation: +1 where a larger value predicts a larger generalization gap, -1 where it predicts a smaller one.
    normalization: how values mu are made comparable across training sizes m, one of NORMALIZATIONS.
    """

    name: str
    group: str
    formula: str
    source: str
    orientation: int
    function: Callable[[Subject], Values]
    normalization: str = "none"
    chain: bool = False  # defined only for models that are their layers one after the other


# "root": mu / sqrt(m); "square": sqrt(mu / m); "log": (mu - ln m) / 2; "none": as it is.
NORMALIZATIONS = ("none", "root", "square", "log")

REGISTRY: dict[str, Measure] = {}


def measure(
    *,
    group: str,
    formula: str,
    source: str,
    orientation: int = 1,
    normalization: str = "none",
    chain: bool = False,
) -> Callable[[Callable[[Subject], Values]], Callable[[Subject], Values]]:
    """Register a function under its own name. It returns [N], or layer label -> [N]; NaN where it is undefined."""

    def register(function: Callable[[Subject], Values]) -> Callable[[Subject], Values]:
        name = function.__name__
        if name in REGISTRY:
            raise ValueError(f"measure {name} is registered twice")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"measure {name}: normalization must be one of {NORMALIZATIONS}, got {normalization!r}")
        REGISTRY[name] = Measure(name, group, formula, source, orientation, function, normalization, chain)
        return function

    return register


def expand(selection: Sequence[str]) -> list[str]:
    """Measure names of a list of groups and names; `all` is every measure. Raises ConfigError for an unknown one."""
    groups = {m.group for m in REGISTRY.values()}
    chosen: dict[str, None] = {}
    for entry in selection:
        if entry not in REGISTRY and entry not in groups and entry != "all":
            raise ConfigError(unknown("measures.names", entry, {*REGISTRY, *groups, "all"}))
        chosen |= dict.fromkeys(m.name for m in REGISTRY.values() if entry in (m.name, m.group, "all"))
    return list(chosen)


def compute(selection: Sequence[str], subject: Subject) -> dict[tuple[str, str | None], Tensor]:
    """(measure, layer or None) -> values [N] in float64, on the CPU. A measure undefined for the model is absent."""
    values: dict[tuple[str, str | None], Tensor] = {}
    for name in expand(selection):
        if REGISTRY[name].chain and not subject.trained.form.chain:
            continue
        result = REGISTRY[name].function(subject)
        by_layer = result.items() if isinstance(result, Mapping) else [(None, result)]
        values |= {(name, layer): value.double().cpu() for layer, value in by_layer}
    return values
