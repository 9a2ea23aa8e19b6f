"""What the file of a model holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from initdist.config.schema import ModelConfig


def fits(config: ModelConfig, input_shape: tuple[int, ...]) -> None:
    """Whatever the images."""


@dataclass(frozen=True)
class Model:
    """Config: a dataclass with the fields that the model adds to those of `ModelConfig`.

    build: its config, the shape of an image [channels, height, width], the number of classes -> the module, which maps
    images [B, *shape] to logits [B, classes]. It imports torch inside. No state across samples: no batch normalization,
    no dropout.
    check: raises ConfigError for a model that does not fit its images.
    chain: whether the model is its weight layers one after the other: products over layers mean something.
    """

    Config: type[ModelConfig]
    build: Callable[[Any, tuple[int, ...], int], Any]  # -> nn.Module
    check: Callable[[Any, tuple[int, ...]], None] = fits
    chain: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.Config, type) and issubclass(self.Config, ModelConfig)):
            raise ValueError(f"Config must be a dataclass that extends ModelConfig, got {self.Config!r}")
