"""The networks that can be trained: one file each, holding its config dataclass `Config` and
`build(config, input_shape, classes) -> nn.Module`.

A model's config comes in; this room knows the schema and the errors, and imports torch inside `build` alone: configs
are composed and checked by processes that never train. It offers `build`, `check`, `is_chain`, the `schemas` of all
models, and what the file of a model needs: `ModelConfig`, `option`, the rules, `activation`.

`_base.Model` says what the file of a model holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist.config.families import Family
from initdist.config.rules import above, at_least, between, finite, from_below, matching, one_of, option, unset_or
from initdist.config.schema import ModelConfig
from initdist.models._base import Model

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "MODELS",
    "Model",
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


MODELS = Family("models", "model.name", Model)


def schemas() -> dict[str, type]:
    """Model name -> its config dataclass."""
    return {name: model.Config for name, model in MODELS.sound().items()}


def build(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Module of the named model; its parameter values are placeholders until `stack.build` draws them."""
    module: nn.Module = MODELS[config.name].build(config, input_shape, classes)
    return module


def check(config: ModelConfig, input_shape: tuple[int, ...]) -> None:
    """Raise ConfigError for a model that does not fit these images [channels, height, width]."""
    MODELS[config.name].check(config, input_shape)


def is_chain(config: ModelConfig) -> bool:
    """Whether products of norms over the layers are defined."""
    return MODELS[config.name].chain


def activation(name: str) -> nn.Module:
    """The activation function of this name, for use inside `build`."""
    from initdist.models import _blocks

    return _blocks.activation(name)
