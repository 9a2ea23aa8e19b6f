"""Losses, errors and distances of a whole stack on whole datasets, in micro-batches.

On a CPU the micro-batch does not depend on the stack's size, so that a network's value does not depend on its
neighbours. On CUDA, where each one costs the same time however small it is, it holds more of few networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce

import torch
from torch import Tensor

from initdist.data.stack_data import StackData
from initdist.stacks.losses import Loss
from initdist.stacks.recording import Recorded
from initdist.stacks.stack import Stack

ROWS = 256
CUDA_ROWS, CUDA_VALUES = 32, 2**28  # at least so many rows; at most so many values in all layers, 1 GiB


def rows_at_once(stack: Stack) -> int:
    """Samples in a micro-batch; on CUDA of few sizes, for which forward passes are recorded."""
    if stack.device.type == "cpu":
        return ROWS
    return max(CUDA_ROWS, 2 ** int(math.log2(max(1.0, CUDA_VALUES / (len(stack) * stack.model.values)))))


def slices(
    stack: Stack, fetch: Callable[[int, int], tuple[Tensor, Tensor]], size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The micro-batches (inputs, labels) of a dataset of this size that a stack passes over."""
    rows = rows_at_once(stack)
    for start in range(0, size, rows):
        yield fetch(start, min(start + rows, size))


def train_metrics(stack: Stack, data: StackData, loss: Loss, awaited: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean loss [N] and error [N], a fraction, on each network's training set, against the labels trained on.

    The error of a network whose loss is not finite is NaN. With `awaited` [N], both are NaN for a network whose loss is
    certainly above its own: often few samples tell, since losses are not negative.
    """
    if awaited is None:
        return _metrics(stack, loss, data.train_slice, data.train_size)
    return _awaited_metrics(stack, loss, data, awaited)


def test_metrics(stack: Stack, data: StackData, loss: Loss, samples: int | None) -> tuple[Tensor, Tensor]:
    """Mean loss [N] and error [N], a fraction, on the test set, against clean labels.

    With `samples`, on every k-th test sample alone, so that about so many are left: fewer than twice as many.
    """
    every = 1 if samples is None else max(1, data.test_size // samples)
    return _metrics(stack, loss, partial(data.test_slice, every=every), -(-data.test_size // every))


def test_results(stack: Stack, data: StackData, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """As `test_metrics` on the whole test set, and which of its samples are classified correctly [N, T], in order."""
    total = torch.zeros(2, len(stack), dtype=torch.float64, device=stack.device)
    correct = []
    for inputs, labels in slices(stack, data.test_slice, data.test_size):
        sums, right = _scored(stack, loss, inputs, labels)
        total += sums
        correct.append(right)
    return *_means(total, data.test_size), torch.cat(correct, dim=1)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """f(x)_y - max_{j != y} f(x)_j [N, B] of logits [N, B, C] and labels [N, B]."""
    labels = labels.unsqueeze(-1)
    own = logits.gather(-1, labels).squeeze(-1)
    return own - logits.scatter(-1, labels, -torch.inf).amax(-1)


def share_with_margin(stack: Stack, data: StackData, margin: Tensor) -> Tensor:
    """Fraction [N] of each network's training set that it classifies by at least its own margin [N], in float64."""
    count = torch.zeros(len(stack), dtype=torch.int64, device=stack.device)
    for inputs, labels in slices(stack, data.train_slice, data.train_size):
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
    stack: Stack, loss: Loss, fetch: Callable[[int, int], tuple[Tensor, Tensor]], size: int
) -> tuple[Tensor, Tensor]:
    total = torch.zeros(2, len(stack), dtype=torch.float64, device=stack.device)
    for inputs, labels in slices(stack, fetch, size):
        total += _sums(stack, loss, inputs, labels)
    return _means(total, size)


def _awaited_metrics(stack: Stack, loss: Loss, data: StackData, awaited: Tensor) -> tuple[Tensor, Tensor]:
    """As `_metrics`; a network is left out as soon as its sum of losses tells enough."""
    bound = awaited * data.train_size
    part, members = stack, torch.arange(len(stack), device=stack.device)
    total = torch.zeros(2, len(stack), dtype=torch.float64, device=stack.device)
    for inputs, labels in slices(stack, data.train_slice, data.train_size):
        undecided = total[0] <= bound[members]
        if not undecided.all():
            part, members, total = part.select(undecided), members[undecided], total[:, undecided]
        if len(members) == 0:
            break
        every = len(members) == len(stack)
        total += _sums(part, loss, *((inputs, labels) if every else (inputs[members], labels[members])))
    metrics = torch.full((2, len(stack)), torch.nan, dtype=torch.float64, device=stack.device)
    metrics[:, members] = torch.stack(_means(total, data.train_size))
    return metrics[0], metrics[1]


def _sums(stack: Stack, loss: Loss, inputs: Tensor, labels: Tensor) -> Tensor:
    """Sum of the losses and number of the errors in a micro-batch [2, N]."""
    return _scored(stack, loss, inputs, labels)[0]


def _scored(stack: Stack, loss: Loss, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the losses and number of the errors in a micro-batch [2, N], and which samples are right [N, B]."""
    scores = stack.model.recorded(("scores", loss), lambda: Recorded(partial(_scores, loss), stacked=True))
    loss_sum, errors, right = scores(stack.forward(inputs), labels)
    return torch.stack((loss_sum, errors)), right


def _scores(loss: Loss, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    losses = torch.vmap(loss)(logits, labels)
    right = logits.argmax(-1) == labels
    return losses.double().sum(1), (~right).sum(1).double(), right


def _means(total: Tensor, size: int) -> tuple[Tensor, Tensor]:
    loss, error = total / size
    return loss, error.where(loss.isfinite(), torch.nan)  # the argmax of NaN is a class too
