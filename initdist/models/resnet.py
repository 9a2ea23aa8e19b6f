"""Residual network of basic blocks: `stages` stages of `depth` blocks, channels doubling from `width` (He et al. 2016).

Normalization is within a sample (GroupNorm) or absent: batch normalization would tie the samples of a batch together.
Without it, the sum of a block and its shortcut is divided by sqrt(2), which keeps the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist.config.rules import at_least, one_of, option
from initdist.config.schema import ModelConfig
from initdist.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Config(ModelConfig):
    name: str = "resnet"
    depth: int = option(1, at_least(1))  # blocks a stage
    stages: int = option(3, at_least(1))
    norm: str = option("group", one_of("group", "none", registry="initdist.models._blocks.NORMS"))
    groups: int = option(4, at_least(1))


def check(config: Config, input_shape: tuple[int, ...]) -> None:
    """Every stage but the first halves the image; groups divide the channels."""
    smallest = min(input_shape[1:])
    if smallest < 2 ** (config.stages - 1):
        raise ConfigError(
            f"model.stages must be at most {smallest.bit_length()} for images of {input_shape[1]}x{input_shape[2]} "
            f"that every further stage halves, got {config.stages}"
        )
    if config.norm == "group" and config.width % config.groups:
        raise ConfigError(
            f"model.width must be a multiple of model.groups={config.groups} for model.norm=group, got {config.width}"
        )


def build(config: Config, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Map [B, channels, height, width] to logits [B, classes]."""
    from torch import nn

    from initdist.models._blocks import Residual, convolution

    layers: list[nn.Module] = [*convolution(config, input_shape[0], config.width)]
    channels = config.width
    for stage in range(config.stages):
        for block in range(config.depth):
            stride = 2 if stage and not block else 1
            layers.append(Residual(config, channels, config.width * 2**stage, stride))
            channels = config.width * 2**stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes, bias=config.bias)]
    return nn.Sequential(*layers)
