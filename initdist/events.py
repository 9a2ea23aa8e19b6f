"""What training processes are told and what they tell: light, picklable values. Imports nothing heavy.

Events name networks by their identities.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from initdist.config.schema import Config

# Signals by which a terminal, a user or SLURM asks a command to end.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class ToTrain:
    """One network to train, and where its files go."""

    identity: str
    config: Config
    weights: str = ""  # empty = keep none
    checkpoint: str = ""  # likewise


@dataclass(frozen=True)
class ToMeasure:
    """One trained network to measure. `measures` of its config names what to compute."""

    identity: str
    config: Config
    weights: str  # the file that they are in
    theta0: str  # hash of the initial parameters
    crossings: Mapping[str, float]  # metrics of its run, of which measures read `steps_at_loss/...`


@dataclass(frozen=True)
class Task:
    """One stack to train."""

    networks: tuple[ToTrain, ...]
    fingerprint: str = ""  # of the data that was planned with; empty = whatever is there
    part: bool = False  # of a stack of which a `Started` was sent before


@dataclass(frozen=True)
class MeasureTask:
    """One stack to measure after its training."""

    networks: tuple[ToMeasure, ...]


@dataclass(frozen=True)
class Leave:
    """To a training process: write down what trains, at the end of the running epoch, and wait for the next task."""

    to_divide: bool = False  # so that others can help; where it cannot be written down, its training goes on


@dataclass(frozen=True)
class Done:
    """The training process waits for its next task."""


@dataclass(frozen=True)
class Started:
    """A stack began to train."""

    networks: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """Where a stack's running networks stand after an epoch: identity -> mean batch loss."""

    epoch: int
    batch_loss: Mapping[str, float]


@dataclass(frozen=True)
class Measurement:
    """What is known of one network's measures."""

    metrics: Mapping[str, float]  # values under their metric names; NaN where undefined for this network
    options: Mapping[str, Mapping[str, Any]]  # measure -> the options it was computed with, undefined ones too
    seconds: Mapping[str, float]  # measure -> its share of its stack's time


@dataclass(frozen=True)
class Result:
    """A network ended by its own criterion."""

    stop_reason: str
    step: int
    metrics: dict[str, float]  # final values under their metric names
    history: list[tuple[int, dict[str, float]]]  # (gradient step, values), before the final ones
    theta0: str  # hash of the initial parameters
    seconds: float  # its share of its stack's training time
    measured: Measurement = field(default_factory=lambda: Measurement({}, {}, {}))
    network: str = ""  # set by the training process, as is what trained it
    code: str = ""  # of the sources that trained it, as the training process had loaded them
    device: str = ""  # what trained it: `cpu`, or the name of the GPU
    graphs: str = ""  # whether its steps were replayed as CUDA graphs, and why not; empty on a CPU
    converged: str = ""  # what names.CONVERGED says of it; empty where not known
    correct: bytes = b""  # numpy.packbits of which samples of the clean test set are right; empty where not known


@dataclass(frozen=True)
class Measured:
    """A network was measured after its training."""

    network: str
    measurement: Measurement


@dataclass(frozen=True)
class Refused:
    """A network whose weights or start are not what they should be, and why."""

    network: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """Networks that could not be trained or measured to their end, and why."""

    networks: tuple[str, ...]
    error: str


Event = Started | Progress | Result | Measured | Refused | Failed
