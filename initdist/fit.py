"""The training loop: N networks at once, each stopping on its own criterion. Knows no Hydra and no MLflow.

`for snapshot in fit(...)`: one Snapshot an epoch, with the networks that trained in it. K live networks of N.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from initdist import names, rng
from initdist.data import StackData
from initdist.evaluation import train_metrics
from initdist.losses import Loss
from initdist.optim import Optimizer
from initdist.stack import Stack

# The full training loss is not computed while the epoch's mean batch loss exceeds this multiple of what is waited for.
CHECK_FACTOR = 10.0


@dataclass(frozen=True)
class Plan:
    """How long and in which order the networks of a stack train."""

    batch_size: int
    max_epochs: int
    thresholds: Tensor  # [N] training loss to stop at; 0 = never
    order_seeds: tuple[int, ...]  # N seeds of the epochs' orders


@dataclass(frozen=True)
class Snapshot:
    """The state after an epoch. `stack` and `data` are live views: read them before asking for the next snapshot."""

    epoch: int
    step: int  # gradient steps so far
    members: tuple[int, ...]  # positions of the K live networks in the stack that was given
    batch_loss: Tensor  # [K] mean over the epoch's samples, while they were trained on; NaN at epoch 0
    train_loss: Tensor  # [K] of the whole training set at the epoch's end; NaN where it was not computed
    train_error: Tensor  # [K] likewise
    crossed: dict[int, tuple[float, ...]]  # position in members -> loss levels crossed for the first time
    ended: dict[int, str]  # position in members -> stop reason
    stack: Stack
    data: StackData


@dataclass
class _Live:
    """Everything that is indexed by live network."""

    members: tuple[int, ...]
    stack: Stack
    data: StackData
    optimizer: Optimizer
    thresholds: list[float]
    seeds: tuple[int, ...]
    waiting: list[tuple[float, ...]]  # loss levels not yet crossed, falling

    def select(self, keep: Sequence[int]) -> _Live:
        index = torch.tensor(keep, device=self.stack.device)
        return _Live(
            members=tuple(self.members[i] for i in keep),
            stack=self.stack.select(index),
            data=self.data.select(index),
            optimizer=self.optimizer.select(index),
            thresholds=[self.thresholds[i] for i in keep],
            seeds=tuple(self.seeds[i] for i in keep),
            waiting=[self.waiting[i] for i in keep],
        )


def fit(
    stack: Stack, data: StackData, optimizer: Optimizer, loss: Loss, plan: Plan, record: Collection[int] = ()
) -> Iterator[Snapshot]:
    """Train a stack in place and yield a Snapshot after each epoch, until every network has ended.

    At the epochs in `record` (0 = before training) the training loss and error are computed for every live network.
    A network that has ended leaves the stack at once: it never touches its neighbours and costs nothing more.
    """
    n = len(stack)
    thresholds = plan.thresholds.tolist()
    levels = tuple(sorted(names.CROSSINGS, reverse=True))
    live = _Live(tuple(range(n)), stack, data, optimizer, thresholds, plan.order_seeds, [levels] * n)
    steps_per_epoch = -(-data.train_size // plan.batch_size)
    if 0 in record:
        unknown = torch.full((n,), torch.nan, dtype=torch.float64)
        yield _snapshot(live, 0, 0, unknown, loss, compute=True)
    for epoch in range(1, plan.max_epochs + 1):
        batch_loss = _train_epoch(live, epoch, plan.batch_size, loss).cpu()
        compute = epoch in record or epoch == plan.max_epochs or _any_check_due(live, batch_loss)
        snapshot = _snapshot(live, epoch, epoch * steps_per_epoch, batch_loss, loss, compute)
        crossed, ended = _decide(live, snapshot, last=epoch == plan.max_epochs)
        yield replace(snapshot, crossed=crossed, ended=ended)
        keep = [k for k in range(len(live.members)) if k not in ended]
        if not keep:
            return
        if ended:
            live = live.select(keep)


def _train_epoch(live: _Live, epoch: int, batch_size: int, loss: Loss) -> Tensor:
    """One pass over every network's own order; the last partial batch is kept with its own mean. Returns [K]."""
    size, device = live.data.train_size, live.stack.device
    orders = np.stack([rng.epoch_order(seed, epoch, size) for seed in live.seeds])
    order = torch.from_numpy(orders).to(device)
    total = torch.zeros(len(live.stack), dtype=torch.float64, device=device)
    for start in range(0, size, batch_size):
        inputs, labels = live.data.train_batch(order[:, start : start + batch_size])
        gradients, losses = live.stack.gradients(loss, inputs, labels)
        live.optimizer.step(live.stack.parameters, gradients)
        total += losses * labels.shape[1]
    return total / size


def _check_due(awaited: float, batch_loss: float) -> bool:
    return batch_loss <= CHECK_FACTOR * awaited


def _any_check_due(live: _Live, batch_loss: Tensor) -> bool:
    awaited = [max(t, *w, 0.0) for t, w in zip(live.thresholds, live.waiting, strict=True)]
    return any(_check_due(a, b) for a, b in zip(awaited, batch_loss.tolist(), strict=True) if a > 0)


def _snapshot(live: _Live, epoch: int, step: int, batch_loss: Tensor, loss: Loss, compute: bool) -> Snapshot:
    if compute:
        train_loss, train_error = (values.cpu() for values in train_metrics(live.stack, live.data, loss))
    else:
        train_loss = train_error = torch.full_like(batch_loss, torch.nan)
    return Snapshot(epoch, step, live.members, batch_loss, train_loss, train_error, {}, {}, live.stack, live.data)


def _decide(live: _Live, snapshot: Snapshot, last: bool) -> tuple[dict[int, tuple[float, ...]], dict[int, str]]:
    """Which loss levels each network has just crossed, and which networks end, by their own losses alone.

    Whether the full loss happens to be known, for a neighbour's or a record's sake, must not decide anything.
    """
    crossed: dict[int, tuple[float, ...]] = {}
    ended: dict[int, str] = {}
    losses = zip(snapshot.batch_loss.tolist(), snapshot.train_loss.tolist(), strict=True)
    for k, (batch_loss, train_loss) in enumerate(losses):

        def met(level: float, batch: float = batch_loss, full: float = train_loss) -> bool:
            return _check_due(level, batch) and full <= level

        if new := tuple(level for level in live.waiting[k] if met(level)):
            crossed[k] = new
            live.waiting[k] = tuple(level for level in live.waiting[k] if level not in new)
        if not np.isfinite(batch_loss) or (last and not np.isfinite(train_loss)):
            ended[k] = names.STOP_DIVERGED
        elif live.thresholds[k] > 0 and met(live.thresholds[k]):
            ended[k] = names.STOP_THRESHOLD
        elif last:
            ended[k] = names.STOP_MAX_EPOCHS
    return crossed, ended
