"""The live networks of a stack and their epochs of gradient steps: K networks, m training samples each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.config.schema import StopConfig
from initdist.data.stack_data import StackData
from initdist.stacks.capture import Graphs, Step
from initdist.stacks.losses import Loss
from initdist.stacks.optim import Optimizer
from initdist.stacks.stack import Parameters, Stack

# The gradient of a larger batch is taken in parts of this many samples, so that memory does not grow with the batch.
ROWS = 4096


@dataclass
class ActiveStack:
    """Everything that is indexed by live network; some may have ended, but not left the stack yet."""

    members: tuple[int, ...]
    stack: Stack
    data: StackData
    optimizer: Optimizer
    stops: tuple[StopConfig, ...]
    seeds: tuple[int, ...]
    waiting: list[tuple[float, ...]]  # loss levels not yet crossed, falling
    resting: set[int] = field(default_factory=set)  # positions of those that have ended

    def survivors(self) -> list[int]:
        """Positions of the others, the last of them in the gaps."""
        keep = list(range(len(self.members)))
        for gap in sorted(self.resting, reverse=True):
            last = keep.pop()
            if gap < len(keep):
                keep[gap] = last
        return keep

    def shrink(self, keep: Sequence[int]) -> ActiveStack:
        index = torch.tensor(keep, device=self.stack.device)
        return ActiveStack(
            members=tuple(self.members[i] for i in keep),
            stack=self.stack.select(index),
            data=self.data.shrink(keep),
            optimizer=self.optimizer.select(index),
            stops=tuple(self.stops[i] for i in keep),
            seeds=tuple(self.seeds[i] for i in keep),
            waiting=[self.waiting[i] for i in keep],
        )


def epoch_orders(live: ActiveStack, epoch: int) -> np.ndarray:
    """Every network's own order of its samples [K, m] in an epoch."""
    return np.stack([rng.epoch_order(seed, epoch, live.data.train_size) for seed in live.seeds])


class Epochs:
    """Epochs of one live stack."""

    def __init__(self, live: ActiveStack, batch_size: int, loss: Loss, graphs: Graphs) -> None:
        self.live, self.batch_size, self.loss, self.graphs = live, batch_size, loss, graphs
        device = live.stack.device
        self.order = torch.empty(len(live.members), live.data.train_size, dtype=torch.int64, device=device)
        self.total = torch.zeros(len(live.members), dtype=torch.float64, device=device)
        self.descends = live.optimizer.descends and batch_size <= ROWS
        self.steps: dict[int, Step] = {}  # size of a batch -> the step on one

    def run(self, epoch: int, orders: np.ndarray) -> Tensor:
        """One pass over every network's own order; the last partial batch is kept with its own mean.

        Returns the mean losses [K] while they were trained on.
        """
        self.order.copy_(torch.from_numpy(orders))
        self.total.zero_()
        self.live.optimizer.begin_epoch(epoch)
        for batch in self.order.split(self.batch_size, dim=1):
            if (size := batch.shape[1]) not in self.steps:
                self.steps[size] = Step(self._launch, self._changed)
            self.steps[size](batch, self.graphs)
        return self.total / self.live.data.train_size

    def release(self) -> None:
        """Free the memory of the graphs, now: they are part of a cycle, which is collected some time."""
        self.steps.clear()

    def _launch(self, batch: Tensor) -> None:
        """One step on a batch, given by its positions [K, B]; its losses [K] before it go into the total."""
        stack, optimizer = self.live.stack, self.live.optimizer
        if self.descends:
            losses = stack.descend(self.loss, *self.live.data.train_batch(batch), optimizer.coefficients["lr"])
        else:
            gradients, losses = _gradients(self.live, batch, self.loss)
            optimizer.step(stack.parameters, gradients)
        optimizer.constrain(stack.parameters)
        self.total.add_(losses, alpha=batch.shape[1])

    def _changed(self) -> list[Tensor]:
        return [self.total, *self.live.stack.parameters.values(), *self.live.optimizer.changed()]


def _gradients(live: ActiveStack, batch: Tensor, loss: Loss) -> tuple[Parameters, Tensor]:
    """Gradients [K, ...] of the mean losses [K] of a batch, given by its positions [K, B], and those losses."""
    if batch.shape[1] <= ROWS:
        return live.stack.gradients(loss, *live.data.train_batch(batch))
    parts = batch.split(ROWS, dim=1)
    shares = [part.shape[1] / batch.shape[1] for part in parts]
    gradients = {name: torch.zeros_like(p) for name, p in live.stack.parameters.items()}
    mean = torch.zeros(len(live.stack), dtype=torch.float64, device=batch.device)
    for part, share in zip(parts, shares, strict=True):
        found, losses = live.stack.gradients(loss, *live.data.train_batch(part))
        mean.add_(losses, alpha=share)
        for name, gradient in gradients.items():
            gradient.add_(found[name], alpha=share)
    return gradients, mean
