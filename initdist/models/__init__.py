"""The networks that can be trained: one file each, holding its config dataclass `Config` and
`build(config, input_shape, classes) -> nn.Module`.

A model's config comes in; this room knows the schema and the errors, and imports torch inside `build` alone: configs
are composed and checked by processes that never train. It offers `build`, `check`, `is_chain`, the `schemas` of all
models, and what the file of a model needs: `ModelConfig`, `option`, the rules, `activation`.

A module built here holds no cross-sample state (no batch normalization, no dropout), so that it can be stacked. More is
optional in a model's file. `check(config, input_shape)` raises ConfigError for a model that does not fit its images.
`CHAIN = True` says that the model is its weight layers one after the other: products over layers mean something.

A package can bring models of its own by entry points of the group `initdist.models`: name = module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist.config import registry
from initdist.config.rules import above, at_least, between, finite, from_below, matching, one_of, option, unset_or
from initdist.config.schema import ModelConfig

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ModelConfig",
    "above",
    "activation",
    "at_least",
    "between",
    "build",
    "check",
    "finite",
    "from_below",
    "is_chain",
    "matching",
    "one_of",
    "option",
    "schemas",
    "unset_or",
]


def schemas() -> dict[str, type]:
    """Model name -> its config dataclass."""
    return {name: module.Config for name, module in registry.modules(__name__).items()}


def build(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Module of the named model; its parameter values are placeholders until `stack.build` draws them."""
    return registry.lookup(__name__, "model.name", config.name).build(config, input_shape, classes)


def check(config: ModelConfig, input_shape: tuple[int, ...]) -> None:
    """Raise ConfigError for a model that does not fit these images [channels, height, width]."""
    module = registry.lookup(__name__, "model.name", config.name)
    if hasattr(module, "check"):
        module.check(config, input_shape)


def is_chain(config: ModelConfig) -> bool:
    """Whether products of norms over the layers are defined."""
    return bool(getattr(registry.lookup(__name__, "model.name", config.name), "CHAIN", False))


def activation(name: str) -> nn.Module:
    """The activation function of this name, for use inside `build`."""
    from initdist.models import _blocks

    return _blocks.activation(name)
