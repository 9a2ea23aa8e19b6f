"""What models are built from: activation functions by their config name, and the blocks of the residual network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from initdist.models.resnet import Config

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "identity": nn.Identity,
}


def activation(name: str) -> nn.Module:
    return ACTIVATIONS[name]()


@dataclass(frozen=True)
class Norm:
    """layers: the normalization of maps with so many channels. scale: of the sum of a block and its shortcut."""

    layers: Callable[[Config, int], list[nn.Module]]
    scale: float


NORMS: dict[str, Norm] = {
    "group": Norm(lambda config, channels: [nn.GroupNorm(config.groups, channels)], 1.0),
    "none": Norm(lambda config, channels: [], 1 / math.sqrt(2)),  # which keeps the variance
}


def convolution(config: Config, channels: int, width: int, stride: int = 1, last: bool = False) -> list[nn.Module]:
    """A 3x3 convolution, its normalization, and its activation unless it is the last of a block."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, stride, padding=1, bias=config.bias)]
    layers += NORMS[config.norm].layers(config, width)
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
        self.scale = NORMS[config.norm].scale

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, width, H / stride, W / stride]."""
        result: Tensor = self.activation((self.branch(inputs) + self.shortcut(inputs)) * self.scale)
        return result
