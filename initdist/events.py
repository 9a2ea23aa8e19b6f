"""What training processes are told and what they tell: light, picklable values. Imports nothing heavy.

`network` and `networks` are positions in the list of networks that training was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from initdist.config.schema import Config


@dataclass(frozen=True)
class Task:
    """One stack to train: the positions of its networks, their configs, and where their files go."""

    networks: tuple[int, ...]
    configs: tuple[Config, ...]
    weight_files: tuple[str, ...]  # empty = keep none
    checkpoints: tuple[str, ...] = ()  # likewise
    fingerprint: str = ""  # of the data that was planned with; empty = whatever is there


@dataclass(frozen=True)
class MeasureTask:
    """One stack to measure after its training: the positions of its networks, their configs, where their weights are,
    the hashes of their initial parameters, and metrics of their runs, of which measures read `steps_at_loss/...`.
    `measures` of the configs names what to compute."""

    networks: tuple[int, ...]
    configs: tuple[Config, ...]
    weight_files: tuple[str, ...]
    theta0: tuple[str, ...]
    crossings: tuple[Mapping[str, float], ...] = ()  # empty = not known


@dataclass(frozen=True)
class Done:
    """The training process waits for its next task."""


@dataclass(frozen=True)
class Started:
    """A stack began to train."""

    networks: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """Where a stack stands after an epoch: its live networks and their mean batch losses."""

    networks: tuple[int, ...]
    epoch: int
    batch_loss: tuple[float, ...]


@dataclass(frozen=True)
class Measurement:
    """What is known of one network's measures."""

    metrics: Mapping[str, float]  # values under their metric names; NaN where undefined for this network
    options: Mapping[str, Mapping[str, Any]]  # measure -> the options it was computed with, undefined ones too
    seconds: Mapping[str, float]  # measure -> its share of its stack's time


@dataclass(frozen=True)
class Result:
    """A network ended by its own criterion."""

    network: int
    stop_reason: str
    step: int
    metrics: dict[str, float]  # final values under their metric names
    history: list[tuple[int, dict[str, float]]]  # (gradient step, values), before the final ones
    theta0: str  # hash of the initial parameters
    seconds: float  # its share of its stack's training time
    measured: Measurement = field(default_factory=lambda: Measurement({}, {}, {}))
    code: str = ""  # of the sources that trained it, as the training process had loaded them
    device: str = ""  # what trained it: `cpu`, or the name of the GPU
    graphs: str = ""  # whether its steps were replayed as CUDA graphs, and why not; empty on a CPU
    converged: str = ""  # what names.CONVERGED says of it; empty where not known
    correct: bytes = b""  # numpy.packbits of which samples of the clean test set are right; empty where not known


@dataclass(frozen=True)
class Measured:
    """A network was measured after its training."""

    network: int
    measurement: Measurement


@dataclass(frozen=True)
class Refused:
    """A network whose weights or start are not what they should be, and why."""

    network: int
    reason: str


@dataclass(frozen=True)
class Failed:
    """Networks that could not be trained or measured to their end, and why."""

    networks: tuple[int, ...]
    error: str


Event = Started | Progress | Result | Measured | Refused | Failed
