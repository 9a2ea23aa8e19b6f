"""Multi-layer perceptron: `depth` hidden layers of `width` units, the model of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist.config.schema import ModelConfig

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Config(ModelConfig):
    name: str = "mlp"


CHAIN = True


def build(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Map [B, *input_shape] to logits [B, classes] through depth + 1 weight layers."""
    import itertools
    import math

    from torch import nn

    from initdist.models._blocks import activation

    sizes = [math.prod(input_shape), *[config.width] * config.depth, classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for k, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        if k:
            layers.append(activation(config.activation))
        layers.append(nn.Linear(fan_in, fan_out, bias=config.bias))
    return nn.Sequential(*layers)
