"""Convolutional network: `depth` blocks of convolution and activation with `width` channels, then a linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist.errors import ConfigError
from initdist.rules import matching, one_of, option
from initdist.schema import ModelConfig

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Config(ModelConfig):
    name: str = "cnn"
    kernel: int = option(3, matching("an odd number above 0", lambda v: v > 0 and v % 2 == 1))
    downsample: str = option("stride", one_of("stride", "pool", "none"))  # halves the image in every block
    head: str = option("flatten", one_of("flatten", "average"))  # what the last block's maps become


CHAIN = True


def check(config: Config, input_shape: tuple[int, ...]) -> None:
    """Every halving needs two pixels to halve."""
    smallest = min(input_shape[1:])
    if config.downsample != "none" and smallest < 2**config.depth:
        raise ConfigError(
            f"model.depth must be at most {smallest.bit_length() - 1} for images of {input_shape[1]}x{input_shape[2]} "
            f"that every block halves, got {config.depth}; model.downsample=none keeps their size"
        )


def build(config: Config, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Map [B, channels, height, width] to logits [B, classes]."""
    from torch import nn

    from initdist.activations import activation

    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for _ in range(config.depth):
        stride = 2 if config.downsample == "stride" else 1
        padding = config.kernel // 2
        layers.append(nn.Conv2d(channels, config.width, config.kernel, stride, padding, bias=config.bias))
        layers.append(activation(config.activation))
        if config.downsample == "pool":
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        if config.downsample != "none":
            height, width = -(-height // 2), -(-width // 2)
        channels = config.width
    if config.head == "average":
        layers.append(nn.AdaptiveAvgPool2d(1))
        height = width = 1
    layers += [nn.Flatten(), nn.Linear(channels * height * width, classes, bias=config.bias)]
    return nn.Sequential(*layers)
