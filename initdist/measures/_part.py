"""The parts of a subject that a search works on: so many networks at once as memory allows, in float32.

N networks, B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initdist.config.schema import NumericsConfig
from initdist.data.stack_data import StackData
from initdist.measures._inputs import MeasureInputs
from initdist.stacks import precision
from initdist.stacks.evaluation import ROWS
from initdist.stacks.stack import Stack

# What the directions of the networks of a part may take together; a single network may take more.
BYTES = 256 * 2**20


@dataclass(frozen=True)
class Part:
    """Some networks of a subject, in the order that they have there."""

    trained: Stack
    data: StackData
    seeds: tuple[int, ...]
    finite: Tensor  # [N] whether a network has not diverged

    def block(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        """Training inputs [N, B, ...] and labels [N, B] of the index-th block, of so many that the set holds."""
        size = min(size, self.data.train_size)
        start = index % (self.data.train_size // size) * size
        return self.data.train_slice(start, start + size)


def over_parts(
    subject: MeasureInputs, directions: int, function: Callable[[Part], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Results [N] of a function of parts, by name, for the whole subject.

    directions: how many copies of a network's parameters the function keeps. Raises ValueError for a subject without
    the seeds of its networks.
    """
    if len(subject.seeds) != len(subject.trained):
        raise ValueError(f"{len(subject.trained)} networks need as many seeds to be sampled, got {len(subject.seeds)}")
    with precision.float32():
        found = [function(part) for part in _parts(subject, directions)]
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def _parts(subject: MeasureInputs, directions: int) -> Iterator[Part]:
    n = len(subject.trained)
    size = 4 * sum(p.numel() for p in subject.trained.parameters.values()) // n
    together = max(1, BYTES // (size * directions))
    trained = in_float32(subject.trained)
    finite = torch.stack([p.flatten(1).isfinite().all(1) for p in trained.parameters.values()]).all(0)
    if n <= together:
        yield Part(trained, subject.data, tuple(subject.seeds), finite)
        return
    for start in range(0, n, together):
        index = torch.arange(start, min(start + together, n), device=trained.device)
        seeds = tuple(subject.seeds[start : start + together])
        yield Part(trained.select(index), subject.data.select(index), seeds, finite[index])


def in_float32(stack: Stack) -> Stack:
    """The same networks, computed in float32 and without compilation, whatever they were trained with."""
    if stack.model.numerics == NumericsConfig():
        return stack
    return replace(stack, model=replace(stack.model, numerics=NumericsConfig(), _recorded={}))


def errors(stack: Stack, inputs: Tensor, labels: Tensor) -> Tensor:
    """How many samples [N] of inputs [N, B, ...] are misclassified, in float64."""
    wrong = [
        stack.forward(inputs[:, start : start + ROWS]).argmax(-1) != labels[:, start : start + ROWS]
        for start in range(0, inputs.shape[1], ROWS)
    ]
    return torch.cat(wrong, dim=1).sum(1).double()


def column(values: Tensor, like: Tensor) -> Tensor:
    """Values [N] in the shape [N, 1, ...] and the type of `like`."""
    return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


def taken(stack: Stack, networks: Tensor) -> Stack:
    """The stack of these networks; the same one where they are all."""
    return stack if len(networks) == len(stack) else stack.select(networks)


def by_row(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """A function of each row [D] of [N, D], row by row: a reduction over a stack rounds differently for different N."""
    return torch.stack([function(row) for row in rows])


def standard_error(rows: Tensor) -> Tensor:
    """Standard error [N] of the mean of each row [D]."""
    return by_row(torch.std, rows) / rows.shape[1] ** 0.5
