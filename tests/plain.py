"""The experiment once more, as a plain PyTorch loop over one module: what the stacks are held against.

It shares with the package the raw arrays, the streams' draws and the names of the `torch.optim` classes that it uses.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from initdist import rng
from initdist.config.schema import Config, ConstraintConfig
from initdist.data import datasets
from initdist.stacks.optimizers import OPTIMIZERS


@dataclass
class Run:
    """How a plain training went."""

    stop_reason: str = ""
    epochs: int = 0
    steps: int = 0
    batch_losses: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    train_error: float = math.nan
    test_error: float = math.nan
    test_loss: float = math.nan
    module: nn.Module | None = None

    def first_epoch(self, level: float) -> int | None:
        """The first epoch at whose end the full loss is down to a level, among those with a batch loss near it."""
        losses = zip(itertools.count(1), self.batch_losses, self.train_losses, strict=False)
        return next((epoch for epoch, batch, full in losses if batch <= 10 * level and full <= level), None)


def network(config: Config, inputs: int, classes: int) -> nn.Sequential:
    sizes = [inputs, *[config.model.width] * config.model.depth, classes]
    draws = rng.stream(config.seeds.init, "initialization")
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(sizes):
        linear = nn.Linear(into, out)
        weights = draws.standard_normal((out, into), dtype=np.float32) * math.sqrt(2 / (into + out))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights * config.model.init_scale))
            linear.bias.zero_()
        layers += [linear, nn.Identity() if config.model.name == "linear" else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def mean_loss(name: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if name == "cross_entropy":
        return nn.CrossEntropyLoss()(logits, labels)
    return ((logits - nn.functional.one_hot(labels, logits.shape[1])) ** 2).sum(1).mean()


def optimizer(parameters: Iterable[torch.Tensor], config: Config) -> torch.optim.Optimizer:
    """The `torch.optim` namesake of one network's optimizer, with those fields of its config that it knows."""
    own = config.optimizer
    given = vars(own) | {"betas": (own.beta1, own.beta2)}
    cls = getattr(torch.optim, OPTIMIZERS[own.name].namesake)
    known = inspect.signature(cls).parameters
    return cls(parameters, **{name: value for name, value in given.items() if name in known})


def scheduler(reference: torch.optim.Optimizer, config: Config) -> torch.optim.lr_scheduler.LRScheduler:
    """The `torch.optim.lr_scheduler` schedule of one network's config."""
    own = config.optimizer
    if own.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(reference, own.schedule_epochs or config.stop.max_epochs)
    if own.schedule == "step":
        return torch.optim.lr_scheduler.StepLR(reference, own.schedule_epochs, own.schedule_factor)
    return torch.optim.lr_scheduler.ConstantLR(reference, factor=1.0)


def stop_reason(config: Config, run: Run, logits: torch.Tensor, labels: torch.Tensor) -> str:
    """Which criterion is met at an epoch's end, or the empty string."""
    stop = config.stop
    if stop.train_loss > 0 and run.first_epoch(stop.train_loss):
        return "threshold"
    top = logits.topk(2, dim=1)
    rival = torch.where(top.indices[:, 0] == labels, top.values[:, 1], top.values[:, 0])
    margins = logits[range(len(labels)), labels] - rival
    if stop.margin is not None and (margins >= stop.margin).sum().item() / len(labels) >= stop.fraction:
        return "margin"
    errors = (logits.argmax(1) != labels).sum().item()
    return "error" if stop.train_error is not None and errors / len(labels) <= stop.train_error else ""


def displace(module: nn.Module, config: Config) -> None:
    """Start at theta_0 + rho u."""
    if config.model.init_offset > 0:
        draws = rng.stream(config.seeds.init, "offset")
        drawn = [torch.from_numpy(draws.standard_normal(tuple(p.shape))) for p in module.parameters()]
        length = torch.cat([part.flatten() for part in drawn]).norm()
        with torch.no_grad():
            for p, part in zip(module.parameters(), drawn, strict=True):
                p += (config.model.init_offset * part / length).float()


def pull(module: nn.Module, start: nn.Module, own: ConstraintConfig) -> None:
    """The gradient of decay/2 ||theta - centre||^2."""
    if own.name in ("init_decay", "origin_decay"):
        for p, q in zip(module.parameters(), start.parameters(), strict=True):
            assert p.grad is not None
            p.grad += own.decay * (p - q if own.name == "init_decay" else p).detach()


def constrain(module: nn.Module, start: nn.Module, own: ConstraintConfig) -> None:
    """Onto the ball, or out of it, in float64."""
    if own.radius is None:
        return
    with torch.no_grad():
        centres = [torch.zeros_like(q) if own.name == "origin_ball" else q for q in start.parameters()]
        ways = [p.double() - q.double() for p, q in zip(module.parameters(), centres, strict=True)]
        distance = torch.cat([way.flatten() for way in ways]).norm().item()
        if (distance > own.radius) is (own.name != "init_shell"):
            for p, q, way in zip(module.parameters(), centres, ways, strict=True):
                p.copy_(q + way * (own.radius / distance))


def train(config: Config) -> Run:
    arrays = datasets.load(config.dataset)
    m = config.dataset.train_size
    rows = rng.stream(config.seeds.data, "subset").permutation(len(arrays.train_labels))[:m]
    draws = rng.stream(config.seeds.noise, "noise")
    redrawn = draws.random(len(arrays.train_labels)) < config.noise.level
    values = draws.integers(0, 10, len(arrays.train_labels))
    y = torch.from_numpy(np.where(redrawn, values, arrays.train_labels)[rows])
    pixels = torch.from_numpy(arrays.train_inputs[rows].reshape(m, -1) / arrays.scale).float()
    mean, std = pixels.mean(), pixels.std(correction=0)
    x = (pixels - mean) / std
    test_pixels = torch.from_numpy(arrays.test_inputs.reshape(len(arrays.test_inputs), -1) / arrays.scale).float()
    test_x, test_y = (test_pixels - mean) / std, torch.from_numpy(arrays.test_labels)

    module = network(config, x.shape[1], 10)
    start = copy.deepcopy(module)
    displace(module, config)
    descent = optimizer(module.parameters(), config)
    schedule = scheduler(descent, config)
    run = Run(module=module)
    for epoch in range(1, config.stop.max_epochs + 1):
        order = torch.from_numpy(rng.stream(config.seeds.order, "order", epoch).permutation(m))
        total = 0.0
        for batch in order.split(config.optimizer.batch_size or m):
            descent.zero_grad()
            loss = mean_loss(config.loss.name, module(x[batch]), y[batch])
            loss.backward()
            if config.optimizer.clip_norm > 0:
                nn.utils.clip_grad_norm_(module.parameters(), config.optimizer.clip_norm)
            pull(module, start, config.constraint)
            descent.step()
            constrain(module, start, config.constraint)
            total += loss.item() * len(batch)
            run.steps += 1
        schedule.step()
        run.epochs = epoch
        with torch.no_grad():
            run.batch_losses.append(total / m)
            logits = module(x)
            run.train_losses.append(mean_loss(config.loss.name, logits, y).item())
            moved = [p - q for p, q in zip(module.parameters(), start.parameters(), strict=True)]
            run.distances.append(torch.cat([part.flatten() for part in moved]).norm().item())
        if reason := stop_reason(config, run, logits, y):
            run.stop_reason = reason
            break
    else:
        run.stop_reason = "max_epochs"
    with torch.no_grad():
        run.train_error = (module(x).argmax(1) != y).double().mean().item()
        run.test_error = (module(test_x).argmax(1) != test_y).double().mean().item()
        run.test_loss = mean_loss(config.loss.name, module(test_x), test_y).item()
    return run
