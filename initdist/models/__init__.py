"""Models: one file each, holding its config dataclass `Config` and `build(config, input_shape, classes) -> nn.Module`.

A model file must not import torch at its top: configs are composed and checked by processes that never train.
A module built here holds no cross-sample state (no batch normalization, no dropout), so that it can be stacked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from initdist import registry
from initdist.schema import ModelConfig

if TYPE_CHECKING:
    from torch import nn


def schemas() -> dict[str, type]:
    """Model name -> its config dataclass."""
    return {name: module.Config for name, module in registry.modules(__name__).items()}


def build(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Module of the named model; its parameter values are placeholders until `stack.build` draws them."""
    return registry.lookup(__name__, "model.name", config.name).build(config, input_shape, classes)
