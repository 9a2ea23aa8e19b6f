"""Initial parameters, drawn on the CPU from the network's own stream, whatever the device."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.schema import Config


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Fan-in and fan-out of a weight [out, in, *kernel]."""
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def xavier_std(shape: tuple[int, ...]) -> float:
    """Standard deviation of Xavier normal initialization, gain 1 (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2.0 / sum(fans(shape)))


STD = {"xavier": xavier_std}


def draw(config: Config, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Initial parameters of one network: weights normal with the scheme's deviation times `init_scale`, biases zero."""
    stream = rng.stream(config.seeds.init, rng.INITIALIZATION)
    std = STD[config.model.init]
    parameters = {}
    for name, shape in shapes.items():
        if len(shape) < 2:
            parameters[name] = torch.zeros(shape)
            continue
        values = stream.standard_normal(shape, dtype=np.float32)
        values *= np.float32(config.model.init_scale * std(shape))
        parameters[name] = torch.from_numpy(values)
    return parameters
