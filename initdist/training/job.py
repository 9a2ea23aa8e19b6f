"""Train one stack from its configs and measure each network at its end: the middle of the experiment, without I/O.

Yields an `Epoch` after every epoch and one `Trained` a network. Both name networks by their positions in the stack.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from initdist import models
from initdist.config import families, registry
from initdist.config.schema import Config
from initdist.data import stack_data
from initdist.data.datasets import Description
from initdist.errors import ConfigError
from initdist.stacks import optim, outline, precision, stack
from initdist.stacks.losses import LOSSES
from initdist.stacks.optim import Optimizer
from initdist.stacks.stack import Stack
from initdist.training.checkpoint import State
from initdist.training.loop import Plan, fit
from initdist.training.observer import Kept, Observer, Record, Trained, recorded_epochs


@dataclass(frozen=True)
class Epoch:
    """Where the running networks stand after an epoch: position -> mean batch loss."""

    epoch: int
    batch_loss: dict[int, float]


@cache
def check_options() -> None:
    """Raises ConfigError for what a config may name and no code implements as it must; once a process is enough."""
    for name in families.PACKAGES:
        families.family(name).check_own()
    registry.check_options(Config)
    for schema in models.schemas().values():
        registry.check_options(schema, "model.")


def check_results(config: Config, module: nn.Module, about: Description) -> None:
    """Raises ConfigError where a model's module does not give logits, or cannot be linearized where it is to be, or a
    loss no value for each sample."""
    one, classes = (1, *about.input_shape), about.classes
    logits = outline.logits(module, about.input_shape)
    if (shape := _shape(logits)) != (1, classes):
        raise ConfigError(f"model {config.model.name}: images {one} must become logits {(1, classes)}, got {shape}")
    if config.model.linearize:
        _check_linearized(config, module, about)
    size, loss = classes + 1, LOSSES[config.loss.name].loss  # neither a value a class nor a single one is one a sample
    given = torch.zeros(size, classes), torch.arange(size) % classes
    if (shape := _shape(loss(*given))) != (size,):
        raise ConfigError(
            f"loss {config.loss.name}: logits {(size, classes)} and labels {(size,)} must become losses {(size,)}, "
            f"got {shape}"
        )
    torch.vmap(loss)(*(tensor[None] for tensor in given))  # what torch cannot do for a stack it says here


def _check_linearized(config: Config, module: nn.Module, about: Description) -> None:
    try:
        outline.linearize(module, about.input_shape)
    except RuntimeError as error:
        why = next(iter(str(error).splitlines()), "")
        raise ConfigError(
            f"model.linearize must be false for model.name={config.model.name}, which cannot be linearized: {why}"
        ) from error


def _shape(result: object) -> tuple[int, ...] | str:
    """A tensor's, or what it is instead."""
    return tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__


def train(
    configs: Sequence[Config],
    device: torch.device,
    states: Sequence[State] = (),
    every: float = 0.0,
    leave: Callable[[], bool] = lambda: False,
) -> Iterator[Epoch | Trained | Kept]:
    """Train networks whose configs differ only in stackable axes, as one stack on a device.

    From their beginning, or from states that they were in at the end of one and the same epoch. With `every`, yields
    the state of each running network every so many seconds. Ends with these states after an epoch in which `leave` has
    become true, if it is true after they were yielded.

    Raises ValueError where `optim.descends` holds for some of them alone: these are not to share a stack. Raises
    ConfigError where a schema allows what is not implemented.
    """
    check_options()
    shared = configs[0]
    if len({optim.descends(config) for config in configs}) > 1:
        raise ValueError("networks with and without weight decay or clipping are not to share a stack")
    precision.prepare(shared.numerics)
    samples = stack_data.build(configs, device)
    about = samples.shared.description
    initial = stack.build(configs, about.input_shape, about.classes, device)
    plan = Plan(
        batch_size=shared.optimizer.batch_size,
        max_epochs=shared.stop.max_epochs,
        stops=tuple(c.stop for c in configs),
        order_seeds=tuple(c.seeds.order for c in configs),
        begun=states[0].epoch if states else 0,
        waiting=tuple(state.waiting for state in states) or None,
    )
    observer = Observer(configs, initial, about.classes)
    stacked, optimizer = stack.started(initial, configs), optim.build(configs, device, initial.parameters)
    if states:
        _restore(stacked, optimizer, states)
        observer.records = [Record.of(state.record) for state in states]
    snapshots = fit(
        stacked,
        samples,
        optimizer,
        LOSSES[shared.loss.name].loss,
        plan,
        recorded_epochs(shared.history, shared.stop.max_epochs),
    )
    kept = time.perf_counter()
    for snapshot in snapshots:
        running = snapshot.running
        losses = snapshot.batch_loss[running].tolist()
        yield Epoch(snapshot.epoch, dict(zip((snapshot.members[k] for k in running), losses, strict=True)))
        yield from observer.observe(snapshot)
        leaving = leave()
        if snapshot.epoch and (leaving or (every and time.perf_counter() - kept >= every)):
            yield from (observer.state(snapshot, k) for k in running if k not in snapshot.ended)
            kept = time.perf_counter()
        if leaving and leave():  # still: what was to be kept could be
            return


def _restore(stacked: Stack, optimizer: Optimizer, states: Sequence[State]) -> None:
    for name, p in stacked.parameters.items():
        p.copy_(torch.stack([state.parameters[name] for state in states]))
    optimizer.restore([state.optimizer for state in states])
