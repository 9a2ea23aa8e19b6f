"""What is kept of a network, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class TrackingError(RuntimeError):
    """The tracking store cannot be used; the text says what, where, and what to do."""


@dataclass(frozen=True)
class Store:
    """A prepared tracking store and the experiment in it."""

    uri: str
    experiment: str
    experiment_id: str


@dataclass(frozen=True)
class DatasetInfo:
    name: str
    digest: str
    source: str
    context: str  # "training" or "test"


@dataclass(frozen=True)
class Network:
    """What is known of a network before it trains."""

    identity: str
    name: str
    params: Mapping[str, object]
    tags: Mapping[str, str]
    datasets: Sequence[DatasetInfo] = ()


@dataclass(frozen=True)
class Outcome:
    """What is known of a network at its end."""

    metrics: Mapping[str, float]  # final values, at `step`
    history: Sequence[tuple[int, Mapping[str, float]]]  # (gradient step, values) before the final ones
    step: int
    tags: Mapping[str, str]
    files: Sequence[Path] = field(default=())
