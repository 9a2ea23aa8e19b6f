"""What a list of networks will cost, before anything is trained: parameters, disk, memory, time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from initdist import catalogue
from initdist.sweeps.planning import Network, shape
from initdist.sweeps.summary import duration

EPOCHS = 100  # the unit of time where more are allowed: how long each network trains is not known before
EVALUATION = 1.3  # an epoch's steps and the full training loss at its end, in steps alone
# What the measures of a group cost: forward and backward passes over so many samples, as parts of the training set and
# beside it. Measured at the default options on MNIST, n = 1024, at widths 64 and 256, and rounded between them.
PASSES = {
    "core": (1.2, 0),
    "norms": (3.5, 0),
    "margins": (0.05, 0),
    "bounds": (0.15, 0),
    "pacbayes": (0, 20_000),
    "curvature": (0, 50_000),
    "ntk": (0, 1_000),
    "optimization": (1, 0),
    "capacity": (0, 100_000),
}
COPIES = 6  # of a stack's parameters: initial, current, gradients, transients


@dataclass(frozen=True)
class Estimate:
    """Costs of networks that are all trained. Times are on the CPU with this many processes."""

    parameters: int
    epochs: int  # of each network, or fewer where its config allows no more
    seconds: float
    measuring: float  # seconds for the measures at the networks' ends
    workers: int
    memory: int  # bytes of the largest stack of one network, with its transients

    def describe(self) -> str:
        """One line for people."""
        return (
            f"{self.parameters:,} parameters in all, {_bytes(4 * self.parameters)} of weights on disk, at least "
            f"{_bytes(self.memory)} of memory a process, very roughly {duration(self.seconds)} for {self.epochs} "
            f"epochs of each and {duration(self.measuring)} for their measures on {self.workers} CPU process"
            f"{'' if self.workers == 1 else 'es'}"
        )


def estimate(networks: Sequence[Network], workers: int) -> Estimate:
    """Count parameters and operations of each shape, and time this machine's matrix product once."""
    counted = _counted(networks)
    parameters = [counted[shape(one.config)][0] for one in networks]
    epochs = [min(EPOCHS, one.config.stop.max_epochs) for one in networks]
    flop = sum(
        counted[shape(one.config)][1] * one.config.dataset.train_size * some
        for some, one in zip(epochs, networks, strict=True)
    )
    workers = min(workers, len(networks))
    rate = workers * _flop_per_second()
    return Estimate(
        parameters=sum(parameters),
        epochs=max(epochs),
        seconds=EVALUATION * flop / rate,
        measuring=_measuring(networks, counted) / rate,
        workers=workers,
        memory=COPIES * 4 * max(parameters),
    )


def measuring(networks: Sequence[Network], workers: int) -> float:
    """Seconds that the measures of these networks take, very roughly, on the CPU with so many processes."""
    return _measuring(networks, _counted(networks)) / (min(workers, len(networks)) * _flop_per_second())


Counted = dict[tuple[tuple[str, Any], ...], tuple[int, float]]


def _counted(networks: Sequence[Network]) -> Counted:
    """Parameters and operations of each shape."""
    return {shape(one.config): _count(one) for one in {shape(n.config): n for n in networks}.values()}


def _measuring(networks: Sequence[Network], counted: Counted) -> float:
    """Operations of all measures. A group costs the same whether all of it or one measure is computed."""
    groups = {name: one["group"] for name, one in catalogue.entries().items()}
    total = 0.0
    for one in networks:
        for group in {groups[name] for name in catalogue.selected(one.config.measures)}:
            parts, samples = PASSES[group]
            total += counted[shape(one.config)][1] * (parts * one.config.dataset.train_size + samples)
    return total


def _count(network: Network) -> tuple[int, float]:
    """Parameters of a network, and operations of one sample's forward and backward pass: in products of a layer, one
    forward and two backward; of a linearized one also two forward for the change."""
    from initdist.stacks import outline

    model = network.config.model
    module = outline.module(model, network.data.input_shape, network.data.classes)
    products = 5.0 if model.linearize else 3.0
    return outline.parameters(module), products * outline.operations(module, network.data.input_shape)


def _flop_per_second() -> float:
    """What one thread reaches in a product of a batch with a layer."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.randn(64, 512), torch.randn(512, 512)
    a @ b
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 0.05:
        a @ b
        count += 1
    rate = count * 2 * 64 * 512 * 512 / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    return rate / 2  # a training step reaches about half


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
