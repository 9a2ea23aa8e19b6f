"""Deep linear network: an mlp without a nonlinearity (depth 0 is softmax regression)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist.config.schema import ModelConfig, one_of, option
from initdist.models import mlp

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Config(ModelConfig):
    name: str = "linear"
    activation: str = option("identity", one_of("identity", registry="initdist.models._blocks.ACTIVATIONS"))


CHAIN = mlp.CHAIN


def build(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Map [B, *input_shape] to logits [B, classes], linearly, through depth + 1 weight layers."""
    return mlp.build(config, input_shape, classes)
