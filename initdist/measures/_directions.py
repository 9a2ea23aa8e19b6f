"""Random directions in parameter space, drawn on the CPU from each network's own stream, whatever the device.

A network's direction depends on its seed and the number of the draw alone: it is the same alone and in any stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from initdist import rng
from initdist.stacks.stack import Parameters, Stack


def gaussian(stack: Stack, seeds: Sequence[int], draw: int) -> Parameters:
    """Standard normal values [N, ...] for every parameter: the draw-th perturbation of each network."""
    return _drawn(
        stack, seeds, rng.PERTURBATION, draw, lambda stream, shape: stream.standard_normal(shape, dtype=np.float32)
    )


def signs(stack: Stack, seeds: Sequence[int], draw: int) -> Parameters:
    """-1 or 1 with equal probability [N, ...] for every parameter: the draw-th probe of each network."""
    return _drawn(stack, seeds, rng.PROBE, draw, _signs)


def _signs(stream: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(stream.bytes(-(-int(np.prod(shape)) // 8)), dtype=np.uint8))
    return 2 * bits[: int(np.prod(shape))].reshape(shape).astype(np.float32) - 1


def _drawn(
    stack: Stack,
    seeds: Sequence[int],
    name: str,
    draw: int,
    values: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
) -> Parameters:
    shapes = {key: tuple(p.shape[1:]) for key, p in stack.parameters.items()}
    drawn = []
    for seed in seeds:
        stream = rng.stream(seed, name, draw)
        drawn.append({key: torch.from_numpy(values(stream, shape)) for key, shape in shapes.items()})
    return {key: torch.stack([one[key] for one in drawn]).to(stack.device) for key in shapes}
