"""The training loop: N networks at once, each stopping on its own criterion. Knows no Hydra and no MLflow.

`for snapshot in fit(...)`: one Snapshot an epoch, with the networks that trained in it. K live networks of N.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initdist import names
from initdist.config.schema import StopConfig
from initdist.data.stack_data import StackData
from initdist.stacks import capture
from initdist.stacks.evaluation import share_with_margin, train_metrics
from initdist.stacks.losses import Loss
from initdist.stacks.optim import Optimizer
from initdist.stacks.stack import Stack
from initdist.training import stopping
from initdist.training.epochs import ActiveStack, Epochs, epoch_orders

# So large a share of a stack's networks must have ended before it shrinks. On CUDA every new shape is captured anew,
# and a few networks more cost little; compiling one takes longer still.
SHRINK = {"cpu": 0.0, "cuda": 0.1}
SHRINK_COMPILED = 0.5


@dataclass(frozen=True)
class Plan:
    """How long and in which order the networks of a stack train."""

    batch_size: int  # 0 = the whole training set
    max_epochs: int
    stops: tuple[StopConfig, ...]  # N
    order_seeds: tuple[int, ...]  # N seeds of the epochs' orders
    begun: int = 0  # epochs that are behind the networks already
    waiting: tuple[tuple[float, ...], ...] | None = None  # N what each had not crossed by then; None = nothing yet


@dataclass(frozen=True)
class Snapshot:
    """The state after an epoch. `stack` to `waiting` are live views: read them before asking for the next snapshot."""

    epoch: int
    step: int  # gradient steps so far
    members: tuple[int, ...]  # positions of the K live networks in the stack that was given
    batch_loss: Tensor  # [K] mean over the epoch's samples, while they were trained on; NaN at epoch 0
    train_loss: Tensor  # [K] of the whole training set at the epoch's end; NaN where it was not computed
    train_error: Tensor  # [K] likewise
    share: Tensor  # [K] of the training set classified by at least stop.margin; NaN where that is no criterion
    resting: frozenset[int]  # positions in members of those that ended in an earlier epoch: theirs mean nothing
    crossed: dict[int, tuple[float, ...]]  # position in members -> loss levels crossed for the first time
    ended: dict[int, str]  # position in members -> stop reason
    stack: Stack
    data: StackData
    optimizer: Optimizer
    waiting: Sequence[tuple[float, ...]]  # K loss levels not yet crossed
    graphs: str  # what came of capturing steps as CUDA graphs; empty on other devices

    @property
    def running(self) -> list[int]:
        """Positions in members of the networks that trained in this epoch."""
        return [k for k in range(len(self.members)) if k not in self.resting]


def fit(
    stack: Stack, data: StackData, optimizer: Optimizer, loss: Loss, plan: Plan, record: Collection[int] = ()
) -> Iterator[Snapshot]:
    """Train a stack in place and yield a Snapshot after each epoch, until every network has ended.

    Stack and optimizer are at the end of epoch `plan.begun`.

    At the epochs in `record` (0 = before training) the training loss and error are computed for every live network.
    A network that has ended never touches its neighbours. It leaves the stack at once on a CPU, and soon on CUDA.
    """
    n = len(stack)
    levels = tuple(sorted(names.CROSSINGS, reverse=True))
    waiting = list(plan.waiting or [levels] * n)
    live = ActiveStack(tuple(range(n)), stack, data, optimizer, plan.stops, plan.order_seeds, waiting)
    batch_size = plan.batch_size or data.train_size
    steps_per_epoch = -(-data.train_size // batch_size)
    shrink_at = SHRINK_COMPILED if stack.model.numerics.compile else SHRINK[stack.device.type]
    if 0 in record and plan.begun == 0:
        unknown = torch.full((n,), torch.nan, dtype=torch.float64)
        yield _snapshot(live, 0, 0, unknown, loss)
    waits = data.noise is not None and data.inputs is None
    made = capture.graphs(stack.model.numerics, stack.device, waits)
    epochs = Epochs(live, batch_size, loss, made)
    orders = epoch_orders(live, plan.begun + 1)
    try:
        for epoch in range(plan.begun + 1, plan.max_epochs + 1):
            last = epoch == plan.max_epochs
            mean = epochs.run(epoch, orders)
            orders = orders if last else epoch_orders(live, epoch + 1)  # while a CUDA device is still at work
            batch_loss = mean.cpu()
            awaited = None if epoch in record or last else _awaited(live, batch_loss)
            snapshot = _snapshot(live, epoch, epoch * steps_per_epoch, batch_loss, loss, awaited, made.outcome)
            crossed, ended = _decide(live, snapshot, last)
            yield replace(snapshot, crossed=crossed, ended=ended)
            live.resting |= ended.keys()
            if len(live.resting) == len(live.members):
                return
            if len(live.resting) > shrink_at * len(live.members):
                epochs.release()
                keep = live.survivors()
                live, orders = live.shrink(keep), orders[keep]
                epochs = Epochs(live, batch_size, loss, made)
    finally:  # also where memory is exhausted, and the halves of this stack need it
        epochs.release()


def _awaited(live: ActiveStack, batch_loss: Tensor) -> Tensor:
    """The training loss [K] that each network waits to come down to, for a criterion of its own or for a record.

    Infinite where its loss or error is wanted at any; negative, as no loss is, where there is nothing to wait for, or
    the loss cannot have come down to it yet.
    """
    awaited = torch.full_like(batch_loss, -1)
    each = zip(live.stops, live.waiting, batch_loss.tolist(), strict=True)
    for k, (stop, waiting, mean) in enumerate(each):
        if k in live.resting:
            continue
        levels = (level for level in waiting if stopping.check_due(level, mean))
        awaited[k] = max([stopping.awaited(stop, mean), *levels])
    return awaited


def _snapshot(
    live: ActiveStack,
    epoch: int,
    step: int,
    batch_loss: Tensor,
    loss: Loss,
    awaited: Tensor | None = None,
    graphs: str = "",
) -> Snapshot:
    """The state after an epoch; without the training losses where they are above all those awaited [K]."""
    train_loss = train_error = share = torch.full_like(batch_loss, torch.nan)
    if awaited is None or bool((awaited >= 0).any()):
        bound = None if awaited is None else awaited.to(live.stack.device)
        train_loss, train_error = (values.cpu() for values in train_metrics(live.stack, live.data, loss, bound))
    if epoch > 0 and any(stop.fraction > 0 for stop in live.stops):
        wanted = [torch.nan if stop.margin is None else stop.margin for stop in live.stops]
        margin = torch.tensor(wanted, dtype=torch.float64, device=live.stack.device)
        share = share_with_margin(live.stack, live.data, margin).cpu()
    facts = (batch_loss, train_loss, train_error, share)
    views = (live.stack, live.data, live.optimizer, live.waiting)
    return Snapshot(epoch, step, live.members, *facts, frozenset(live.resting), {}, {}, *views, graphs)


def _decide(live: ActiveStack, snapshot: Snapshot, last: bool) -> tuple[dict[int, tuple[float, ...]], dict[int, str]]:
    """Which loss levels each network has just crossed, and which networks end, by their own values alone.

    Whether a value happens to be known, for a neighbour's or a record's sake, must not decide anything.
    """
    crossed: dict[int, tuple[float, ...]] = {}
    ended: dict[int, str] = {}
    facts = (snapshot.batch_loss, snapshot.train_loss, snapshot.train_error, snapshot.share)
    for k, values in enumerate(zip(*(fact.tolist() for fact in facts), strict=True)):
        if k in live.resting:
            continue
        state = stopping.EpochFacts(*values)
        if new := tuple(level for level in live.waiting[k] if stopping.crossed(level, state)):
            crossed[k] = new
            live.waiting[k] = tuple(level for level in live.waiting[k] if level not in new)
        if reason := stopping.reason(live.stops[k], state, last):
            ended[k] = reason
    return crossed, ended
