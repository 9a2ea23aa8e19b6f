"""How far a whole command is while one of its jobs trains, and how long the rest may take.

Without torch, which the process that plans does not load: work is counted in products of a network's layers, by a
formula that knows width, depth and inputs. `cost` counts exactly, for a dry run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from initdist.sweeps.planning import Job, Network
from initdist.sweeps.summary import counted, duration

EPOCHS = 60  # that a network trains; only what is said in the first seconds depends on it
OVERHEAD = 48  # units of width that a narrow layer costs beside its own: the time of its products is not all
SHOWN = 0.1  # from this share of the work on, what has been measured says how long the rest takes


@dataclass(frozen=True)
class Outlook:
    """work: of each job in the order in which they run, one after the other; seconds: of all, very roughly."""

    networks: int
    work: tuple[float, ...]
    seconds: float
    opened: float  # time.time() at which the first could start

    @classmethod
    def of(cls, jobs: Sequence[Job], todo: frozenset[str], workers: int) -> Outlook:
        """Of jobs that follow each other, of whose networks those in `todo` are trained."""
        work = [[_work(one) for one in job.networks if one.identity in todo] for job in jobs]
        # A job of fewer networks than processes leaves some of them idle.
        seconds = sum(max(math.fsum(one) / workers, max(one, default=0.0)) for one in work) / _rate()
        return cls(sum(map(len, work)), tuple(math.fsum(one) for one in work), seconds, time.time())

    def fraction(self, job: int, fraction: float) -> float:
        """Of all work, once a job has done so much of its own."""
        done = math.fsum(self.work[:job]) + fraction * self.work[job]
        return done / math.fsum(self.work)

    def describe(self, job: int, fraction: float) -> str:
        """`all 36 networks: 31% of the work, about 2m 10s left`."""
        done, elapsed = self.fraction(job, fraction), time.time() - self.opened
        text = f"all {counted(self.networks, 'network')}: {100 * done:.0f}% of the work"
        if done >= 1:
            return text
        left = elapsed * (1 - done) / done if done > SHOWN else max(self.seconds * (1 - done), 1.0)
        word = "about" if done > SHOWN else "very roughly"
        return f"{text}, {word} {duration(left)} left"


def _work(network: Network) -> float:
    """Operations of a network's training."""
    model = network.config.model
    inputs, width = math.prod(network.data.input_shape), model.width + OVERHEAD
    return 6.0 * EPOCHS * network.config.dataset.train_size * width * (inputs + model.depth * width)


def _rate() -> float:
    """Operations a second that a training process reaches: half of those of a product."""
    a, b = np.ones((32, 64), np.float32), np.ones((64, 64), np.float32)  # so small that one thread computes it
    fastest = math.inf
    for _ in range(50):  # others may use the cores in between
        started = time.perf_counter()
        for _ in range(10):
            a @ b
        fastest = min(fastest, time.perf_counter() - started)
    return 10 * 2 * 32 * 64 * 64 / fastest / 2
