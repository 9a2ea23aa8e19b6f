"""The registry of measures and their computation for a whole stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from initdist import catalogue, names
from initdist.config.families import check_call
from initdist.config.schema import MeasuresConfig
from initdist.errors import ConfigError
from initdist.measures._inputs import MeasureInputs
from initdist.measures._needs import NEEDS, Need
from initdist.stacks.stack import StackedModel

# One value a network [N], or such values by layer label; the total beside its layers under None.
Values = Tensor | Mapping[str, Tensor] | dict[str | None, Tensor]
Function = TypeVar("Function", bound=Callable[[MeasureInputs], Values])


@dataclass(frozen=True)
class Measure:
    """A measure and what its values mean.

    formula: of the total; of a layer where there is no total.
    orientation: +1 where a larger value predicts a larger generalization gap, -1 where it predicts a smaller one.
    normalization: how totals mu are made comparable across training sizes m, one of NORMALIZATIONS.
    needs: what a network must be for the measure to be defined.
    options: the fields of MeasuresConfig that its value depends on.
    history: whether it is computed along training too: where it needs no pass over data and no decomposition.
    version: 1, and more by one with each change of its values; later ones are told in the tag `names.MEASURES`.
    """

    name: str
    group: str
    formula: str
    source: str
    orientation: int
    function: Callable[[MeasureInputs], Values]
    normalization: str = "none"
    needs: Need = NEEDS["any"]
    options: tuple[str, ...] = ()
    history: bool = False
    version: int = 1

    def defined(self, model: StackedModel) -> bool:
        return self.needs.met(model)


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
    needs: str = "any",
    options: Sequence[str] = (),
    history: bool = False,
    version: int = 1,
) -> Callable[[Function], Function]:
    """Register a function under its own name. It returns [N], layer label -> [N], or both with the total under None.

    NaN is a value that is undefined for this network; what is undefined for a whole model is said by `needs`, a key
    of NEEDS. Raises ConfigError for what the registry does not know.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        if name in REGISTRY:
            there = REGISTRY[name].function.__module__
            raise ConfigError(f"measure {name}: its name must be its own, got that of one in {there}")
        known = {"group": names.MEASURE_GROUPS, "normalization": NORMALIZATIONS, "needs": tuple(NEEDS)}
        for key, value in (("group", group), ("normalization", normalization), ("needs", needs)):
            if value not in known[key]:
                raise ConfigError(f"measure {name}: {key} must be one of {', '.join(known[key])}, got {value!r}")
        try:
            check_call(name, function, [MeasureInputs])
        except ValueError as error:
            raise ConfigError(f"measure {error}") from None
        fields = MeasuresConfig.__dataclass_fields__
        if wrong := [option for option in options if option not in fields]:
            raise ConfigError(f"measure {name}: options must be fields of MeasuresConfig, got {wrong}")
        REGISTRY[name] = Measure(
            name=name,
            group=group,
            formula=formula,
            source=source,
            orientation=orientation,
            function=function,
            normalization=normalization,
            needs=NEEDS[needs],
            options=tuple(options),
            history=history,
            version=version,
        )
        return function

    return register


def with_total(total: Tensor, layers: Mapping[str, Tensor]) -> dict[str | None, Tensor]:
    """The values of a measure that has a total and layers."""
    return dict([(None, total), *layers.items()])


def expand(selection: Sequence[str]) -> list[str]:
    """Measure names of a list of groups and names; `all` is every measure. Raises ConfigError for an unknown one."""
    catalogue.check_selection(selection, REGISTRY)
    chosen: dict[str, None] = {}
    for entry in selection:
        chosen |= dict.fromkeys(m.name for m in REGISTRY.values() if entry in (m.name, m.group, names.ALL_MEASURES))
    return list(chosen)


def options(selection: Sequence[str], config: MeasuresConfig) -> dict[str, dict[str, Any]]:
    """Measure -> the options that its value is computed with, for the tag `names.MEASURES`; a version above 1 too."""
    return {
        one.name: catalogue.options(config, {"options": one.options, "version": one.version})
        for one in map(REGISTRY.__getitem__, expand(selection))
    }


def compute(selection: Sequence[str], subject: MeasureInputs) -> dict[tuple[str, str | None], Tensor]:
    """(measure, layer or None) -> values [N] in float64, on the CPU. A measure undefined for the model is absent."""
    values: dict[tuple[str, str | None], Tensor] = {}
    for name in expand(selection):
        if not REGISTRY[name].defined(subject.trained.model):
            continue
        result = REGISTRY[name].function(subject)
        by_layer = result.items() if isinstance(result, Mapping) else [(None, result)]
        values |= {(name, layer): value.double().cpu() for layer, value in by_layer}
    return values
