"""Models: one file each, holding its config dataclass `Config` and `build(config, input_shape, classes) -> nn.Module`.

A model file must not import torch at its top: configs are composed and checked by processes that never train.
A module built here holds no cross-sample state (no batch normalization, no dropout), so that it can be stacked.

More is optional. `check(config, input_shape)` raises ConfigError for a model that does not fit its images.
`CHAIN = True` says that the model is its weight layers one after the other: products over layers mean something.

A package can bring models of its own by entry points of the group `initdist.models`: name = module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist.config import registry
from initdist.config.schema import ModelConfig

if TYPE_CHECKING:
    from torch import nn


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
