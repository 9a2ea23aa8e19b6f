"""Losses, errors and distances of a whole stack on whole datasets, in micro-batches of fixed size.

The micro-batch does not depend on the stack's size, so that a network's value does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce

import torch
from torch import Tensor

from initdist.data import StackData
from initdist.losses import Loss
from initdist.stack import Stack

ROWS = 256


def slices(fetch: Callable[[int, int], tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The micro-batches (inputs, labels) of a dataset of this size."""
    for start in range(0, size, ROWS):
        yield fetch(start, min(start + ROWS, size))


def train_metrics(stack: Stack, data: StackData, loss: Loss, awaited: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean loss [N] and error [N], a fraction, on each network's training set, against the labels trained on.

    The error of a network whose loss is not finite is NaN. With `awaited` [N], everything is NaN once it is certain
    that each network's loss is above its own: often few samples tell, since losses are not negative.
    """
    return _metrics(stack, loss, data.train_slice, data.train_size, awaited)


def test_metrics(stack: Stack, data: StackData, loss: Loss, samples: int | None) -> tuple[Tensor, Tensor]:
    """Mean loss [N] and error [N], a fraction, on the test set, against clean labels.

    With `samples`, on every k-th test sample alone, so that about so many are left: fewer than twice as many.
    """
    every = 1 if samples is None else max(1, data.test_size // samples)
    return _metrics(stack, loss, partial(data.test_slice, every=every), -(-data.test_size // every))


def train_logits(stack: Stack, data: StackData) -> Tensor:
    """Logits [N, m, C] on each network's training set."""
    return torch.cat([stack.forward(inputs) for inputs, _ in slices(data.train_slice, data.train_size)], dim=1)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """f(x)_y - max_{j != y} f(x)_j [N, B] of logits [N, B, C] and labels [N, B]."""
    labels = labels.unsqueeze(-1)
    own = logits.gather(-1, labels).squeeze(-1)
    return own - logits.scatter(-1, labels, -torch.inf).amax(-1)


def share_with_margin(stack: Stack, data: StackData, margin: Tensor) -> Tensor:
    """Fraction [N] of each network's training set that it classifies by at least its own margin [N], in float64."""
    count = torch.zeros(len(stack), dtype=torch.int64, device=stack.device)
    for inputs, labels in slices(data.train_slice, data.train_size):
        count += (margins(stack.forward(inputs), labels).double() >= margin[:, None]).sum(1)
    return count.double() / data.train_size


def distance(stack: Stack, initial: Stack) -> Tensor:
    """l2 norm [N] of trained minus initial, over all parameters, in float64 (arXiv 1901.01672)."""
    return norm([p - initial.parameters[name] for name, p in stack.parameters.items()])


def norm(tensors: Iterable[Tensor]) -> Tensor:
    """l2 norm [N] of tensors [N, ...] taken together, in float64."""
    return sum_in_order(
        torch.linalg.vector_norm(tensor.flatten(1), dim=1, dtype=torch.float64).square() for tensor in tensors
    ).sqrt()


def sum_in_order(terms: Iterable[Tensor]) -> Tensor:
    """Sum of tensors [N], one by one: a reduction over a stacked dimension rounds differently for different N."""
    return reduce(torch.add, terms)


def _metrics(
    stack: Stack,
    loss: Loss,
    fetch: Callable[[int, int], tuple[Tensor, Tensor]],
    size: int,
    awaited: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    total = torch.zeros(len(stack), dtype=torch.float64, device=stack.device)
    wrong = torch.zeros(len(stack), dtype=torch.int64, device=stack.device)
    for inputs, labels in slices(fetch, size):
        logits = stack.forward(inputs)
        losses = torch.vmap(loss)(logits, labels)
        total += losses.double().sum(1)
        wrong += (logits.argmax(-1) != labels).sum(1)
        if awaited is not None and bool((total / size > awaited).all()):
            nothing = torch.full_like(total, torch.nan)
            return nothing, nothing
    error = wrong.double() / size
    return total / size, error.where(total.isfinite(), torch.nan)  # the argmax of NaN is a class too
