"""Initial parameters, drawn on the CPU from the network's own stream, whatever the device.

A scheme says how a weight [out, in, *kernel] is drawn. Biases start at zero and gains of normalization layers at one,
but for `torch`, which draws its biases as well.

`ntk` is a parametrization: weights are drawn N(0, 1) and stored so, and the function uses them times sqrt(2 / fan_in),
with fan_in = in * kernel (Jacot et al. 2018; the 2 is He's, for ReLU). Biases are used as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.config.schema import Config, ModelConfig

Shape = tuple[int, ...]


def fans(shape: Shape) -> tuple[int, int]:
    """Fan-in and fan-out of a weight [out, in, *kernel]."""
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def xavier_std(shape: Shape) -> float:
    """Standard deviation of Xavier normal initialization, gain 1 (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2.0 / sum(fans(shape)))


def he_std(shape: Shape) -> float:
    """Standard deviation of He normal initialization for ReLU (He et al. 2015, eq. 10)."""
    return math.sqrt(2.0 / fans(shape)[0])


def unit_std(shape: Shape) -> float:
    """Standard deviation 1, for the NTK parametrization (Jacot et al. 2018, section 2.1)."""
    return 1.0


STD: dict[str, Callable[[Shape], float]] = {"xavier": xavier_std, "he": he_std, "ntk": unit_std}
UNIFORM = {"torch"}  # PyTorch's default: weights and biases uniform within 1/sqrt(fan_in)
SCHEMES = (*STD, *UNIFORM)


def draw(config: Config, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Initial parameters of one network, in the order of `shapes`; the scheme's scale times `init_scale`."""
    stream = rng.stream(config.seeds.init, rng.INITIALIZATION)
    return {name: torch.from_numpy(_draw_one(stream, config.model, name, shapes)) for name in shapes}


def offset(config: Config, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Where one network starts, less theta_0: rho u, with u uniform on the sphere of all parameters."""
    stream = rng.stream(config.seeds.init, rng.OFFSET)
    drawn = {name: stream.standard_normal(shape) for name, shape in shapes.items()}
    length = math.sqrt(sum(float(np.square(values).sum()) for values in drawn.values()))
    return {
        name: torch.from_numpy(np.asarray(values * (config.model.init_offset / length), dtype=np.float32))
        for name, values in drawn.items()
    }


def _draw_one(stream: np.random.Generator, model: ModelConfig, name: str, shapes: Mapping[str, Shape]) -> np.ndarray:
    shape = shapes[name]
    weight_shape = shapes.get(f"{name.rpartition('.')[0]}.weight", shape)  # the weight that a bias belongs to
    if model.init in UNIFORM and len(weight_shape) > 1:
        bound = np.float32(model.init_scale / math.sqrt(fans(weight_shape)[0]))
        return (stream.random(shape, dtype=np.float32) * 2 - 1) * bound
    if len(shape) < 2:
        return np.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=np.float32)
    values = stream.standard_normal(shape, dtype=np.float32)
    values *= np.float32(model.init_scale * STD[model.init](shape))
    return values


def multipliers(model: ModelConfig, shapes: Mapping[str, Shape]) -> dict[str, float]:
    """What the function uses a parameter times: sqrt(2 / fan_in) for weights in the NTK parametrization, else nothing.

    The parameters that are trained, stored and measured are those before multiplication.
    """
    if model.init != "ntk":
        return {}
    return {name: math.sqrt(2.0 / fans(shape)[0]) for name, shape in shapes.items() if len(shape) > 1}
