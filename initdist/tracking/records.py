"""What is kept of a network, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from initdist.secrets import masked


class TrackingError(RuntimeError):
    """The tracking store cannot be used; the text says what, where, and what to do, without secrets of its URI."""

    def __init__(self, text: str) -> None:
        super().__init__(masked(text))


@dataclass(frozen=True)
class Store:
    """A prepared tracking store and the experiment in it."""

    uri: str = field(repr=False)  # with its secrets: `place` is for people, files and messages
    experiment: str
    experiment_id: str

    @property
    def place(self) -> str:
        """The URI without its secrets."""
        return masked(self.uri)


@dataclass(frozen=True)
class DatasetInfo:
    name: str
    digest: str
    source: str
    context: str  # "training" or "test"

    SOURCE_TYPE: ClassVar = "code"
    CONTEXT_TAG: ClassVar = "mlflow.data.context"

    @property
    def source_json(self) -> str:
        """What MLflow keeps of the source."""
        return f'{{"source": "{self.source}"}}'


@dataclass(frozen=True)
class NetworkFacts:
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


class Point(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    timestamp: int  # ms
    step: int


@dataclass
class Run:
    """A network's run; without an id until it is in the store."""

    id: str = ""
    artifact_uri: str = ""  # where its files go
    ended: bool = False
