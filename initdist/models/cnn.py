"""Convolutional network: `depth` blocks of convolution and activation with `width` channels, then a linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist.config.rules import matching, one_of, option
from initdist.config.schema import ModelConfig
from initdist.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Config(ModelConfig):
    name: str = "cnn"
    kernel: int = option(3, matching("an odd number above 0", lambda v: v > 0 and v % 2 == 1))
    downsample: str = option(
        "stride", one_of("stride", "pool", "none", registry=f"{__name__}.DOWNSAMPLE")
    )  # halves the image in every block
    head: str = option(
        "flatten", one_of("flatten", "average", registry=f"{__name__}.HEADS")
    )  # what the last block's maps become


CHAIN = True
# Stride of a block's convolution, and whether a pooling follows: either halves the image.
DOWNSAMPLE = {"stride": (2, False), "pool": (1, True), "none": (1, False)}
# Whether each of the last maps becomes one number.
HEADS = {"flatten": False, "average": True}


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

    from initdist.models._blocks import activation

    channels, height, width = input_shape
    layers: list[nn.Module] = []
    stride, pooled = DOWNSAMPLE[config.downsample]
    for _ in range(config.depth):
        padding = config.kernel // 2
        layers.append(nn.Conv2d(channels, config.width, config.kernel, stride, padding, bias=config.bias))
        layers.append(activation(config.activation))
        if pooled:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        if pooled or stride > 1:
            height, width = -(-height // 2), -(-width // 2)
        channels = config.width
    if HEADS[config.head]:
        layers.append(nn.AdaptiveAvgPool2d(1))
        height = width = 1
    layers += [nn.Flatten(), nn.Linear(channels * height * width, classes, bias=config.bias)]
    return nn.Sequential(*layers)
