"""Building blocks of the residual network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, nn

from initdist.activations import activation

if TYPE_CHECKING:
    from initdist.models.resnet import Config


def convolution(config: Config, channels: int, width: int, stride: int = 1, last: bool = False) -> list[nn.Module]:
    """A 3x3 convolution, its normalization, and its activation unless it is the last of a block."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride, padding=1, bias=config.bias)]
    if config.norm == "group":
        layers.append(nn.GroupNorm(config.groups, width))
    if not last:
        layers.append(activation(config.activation))
    return layers


class Residual(nn.Module):
    """A basic block (He et al. 2016, figure 2) and its shortcut, a 1x1 convolution where the shape changes."""

    def __init__(self, config: Config, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *convolution(config, channels, width, stride), *convolution(config, width, width, last=True)
        )
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)
        self.activation = activation(config.activation)
        self.scale = 1.0 if config.norm == "group" else 1 / math.sqrt(2)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, width, H / stride, W / stride]."""
        result: Tensor = self.activation((self.branch(inputs) + self.shortcut(inputs)) * self.scale)
        return result
