"""Learning rate of a network over its epochs, in plain numbers. Epochs count from 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from initdist.config.schema import Config


@dataclass(frozen=True)
class Schedule:
    """`lr` is the rate of the first epoch; `epochs` the horizon of cosine, the interval of step."""

    name: str
    lr: float
    epochs: int
    factor: float

    @classmethod
    def of(cls, config: Config) -> Schedule:
        own = config.optimizer
        return cls(own.schedule, own.lr, own.schedule_epochs or config.stop.max_epochs, own.schedule_factor)

    def rate(self, epoch: int) -> float:
        """The learning rate throughout an epoch."""
        return self.lr * SCHEDULES[self.name](self, epoch - 1)


def _constant(schedule: Schedule, past: int) -> float:
    return 1.0


def _cosine(schedule: Schedule, past: int) -> float:
    """(1 + cos(pi t / T)) / 2, as `CosineAnnealingLR`, which would rise again after its horizon; this stays at 0."""
    return (1 + math.cos(math.pi * min(past / schedule.epochs, 1.0))) / 2


def _step(schedule: Schedule, past: int) -> float:
    """factor^floor(t / interval), as `StepLR`."""
    return float(schedule.factor ** (past // schedule.epochs))


# Name -> (schedule, epochs past) -> share of the first rate.
SCHEDULES: dict[str, Callable[[Schedule, int], float]] = {"constant": _constant, "cosine": _cosine, "step": _step}
