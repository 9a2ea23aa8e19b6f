"""Writing networks' runs off the training thread: one batch a network, errors surfaced."""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from initdist import names
from initdist.paths import sqlite_file
from initdist.retry import patiently
from initdist.secrets import cause
from initdist.tracking import artifacts
from initdist.tracking.records import NetworkFacts, Outcome, Point, Run, Store, TrackingError
from initdist.tracking.runs import run_tags
from initdist.tracking.store import amending, is_database, may_pass
from initdist.tracking.through_client import ThroughClient

if TYPE_CHECKING:
    from initdist.tracking.in_database import InDatabase

WAITING = 64  # outcomes that may wait to be written before training has to
LANES = {"sqlite": 1, "database": 2, "server": 4}  # networks that are written at the same time: a server takes its own
PARAM_LENGTH = 6000  # MLflow cuts longer values silently
REMEDY = (
    "Nothing that was trained is lost: once the store can be written to, the same command writes it without training "
    "it again"
)
NONFINITE = "initdist.nonfinite"  # tag: metrics left out because they are not finite


class Writer:
    """Owns every write of a job: a context manager around background threads, as many as LANES says.

    All that is written of a network is written by one of them, in the order in which it was given. An error in a
    thread is raised as TrackingError by the next call. On leaving, what was given is written first; then runs that have
    not ended become KILLED after Ctrl-C or a signal, and FAILED after any other exception.
    """

    def __init__(
        self,
        store: Store,
        parent: str | None,
        sweep: str | None,
        patience: float = 0.0,
        opened_ms: int = 0,
        remedy: str = REMEDY,
    ) -> None:
        """`patience`: seconds to wait for a store that does not answer, trying again and again. `remedy`: what an
        error of the store tells the user to do.

        No run is said to have ended before `opened_ms`, also where the clock is set back.
        """
        self.store = store
        self.parent = parent
        self.sweep = sweep
        self.runs: dict[Any, Run] = {}
        kind = "sqlite" if sqlite_file(store.uri) else "database" if is_database(store.uri) else "server"
        self._lanes = [queue.Queue[Callable[[], None] | None](WAITING) for _ in range(LANES[kind])]
        self._lane: dict[Any, int] = {}  # which of them a network is in
        self._error: BaseException | None = None
        self._patience, self._remedy = patience, remedy
        self._opened_ms = opened_ms
        self._leaving = threading.Event()  # an exception is on its way: what fails now is not tried again
        self._recovering, self._telling, self._opening = threading.Lock(), threading.Lock(), threading.Lock()
        self._direct: InDatabase | ThroughClient | None = None
        self._threads = [threading.Thread(target=self._work, args=(lane,), daemon=True) for lane in self._lanes]

    def __enter__(self) -> Writer:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the waiting is done here
        self._client = ThroughClient(self.store)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._leaving.set()
        status = "KILLED" if kind is not None and not issubclass(kind, Exception) else "FAILED"
        try:
            self._drain()
        except BaseException:  # Ctrl-C while the last networks are written
            status = "KILLED"
            self._leaving.set()
            self._drain()
            raise
        finally:
            for run in list(self.runs.values()):
                if run.id and not run.ended:
                    self._guard(lambda run=run: self._end(run, status))  # type: ignore[misc]
        if kind is None:
            self._raise()

    def _drain(self) -> None:
        for lane in self._lanes:
            lane.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def _writing(self) -> InDatabase | ThroughClient:
        """The fastest way. Opened in a thread, while others import and train."""
        if not is_database(self.store.uri):
            return self._client
        with self._opening:
            if self._direct is None:
                from initdist.tracking.in_database import InDatabase  # with it come MLflow's tables

                self._direct = InDatabase.of(self.store, self._client) or self._client
            return self._direct

    def start(self, key: Any, network: NetworkFacts) -> None:
        """Create a network's run, RUNNING, with its params, tags and datasets."""
        self._put(key, lambda: self._start(key, network))

    def finish(self, key: Any, outcome: Outcome, then: Callable[[], None] = lambda: None) -> None:
        """Write a network's artifacts, history and final values, end its run FINISHED, and then do what is given."""
        points = _points(outcome)  # once: written again, they must be the same ones
        self._put(key, lambda: self._finish(key, outcome, points, then))

    def amend(self, run_id: str, outcome: Outcome, merged: Sequence[str], then: Callable[[], None]) -> None:
        """Add final values and tags to a run that has ended, and then do what is given. The tags named in `merged` hold
        JSON objects, and keep what else they have in the store; a new entry is there only with all metrics."""
        points = _points(outcome)
        self._put(run_id, lambda: self._amend(run_id, outcome, points, merged, then))

    def fail(self, key: Any, error: str) -> None:
        """End a network's run FAILED, with the error as an artifact."""
        self._put(key, lambda: self._fail(key, error))

    def _put(self, network: Any, job: Callable[[], None]) -> None:
        self._raise()
        lane = self._lane.setdefault(network, len(self._lane) % len(self._lanes))
        self._lanes[lane].put(job)

    def _raise(self) -> None:
        if self._error is not None:
            why = f"writing to {self.store.uri} failed: {self._error}. {self._remedy}"
            raise TrackingError(why) from cause(self._error)

    def _work(self, lane: queue.Queue[Callable[[], None] | None]) -> None:
        while (job := lane.get()) is not None:
            if self._error is None:
                self._guard(job)

    def _guard(self, job: Callable[[], None]) -> None:
        def worth(error: Exception) -> bool:
            return not self._error and not self._leaving.is_set() and may_pass(error)

        try:
            try:
                job()
            except Exception as error:
                if not worth(error):
                    raise
                with self._recovering:  # one waits for the store, and the others for that one
                    patiently(job, self._patience, self.store.uri, worth, self._leaving.wait)
        except Exception as error:
            self._error = self._error or error  # surfaced by the next call

    def _start(self, key: Any, network: NetworkFacts) -> None:
        too_long = [name for name, value in network.params.items() if len(str(value)) > PARAM_LENGTH]
        if too_long:
            raise ValueError(f"params must have at most {PARAM_LENGTH} characters, longer: {', '.join(too_long)}")
        tags = {**run_tags(names.KIND_NETWORK, self.sweep), names.IDENTITY: network.identity, **network.tags}
        if self.parent is not None:
            tags[names.PARENT_RUN] = self.parent
        run = self.runs.setdefault(key, Run())  # where this is tried again, what there is of it
        self._writing.begin(run, network, tags)

    def _finish(self, key: Any, outcome: Outcome, points: list[Point], then: Callable[[], None]) -> None:
        run = self.runs[key]
        for file in outcome.files:
            artifacts.put(run.artifact_uri, self.store.uri, file)
        tags = dict(outcome.tags)
        if dropped := sorted(k for k, v in outcome.metrics.items() if not _kept(k, v)):
            tags[NONFINITE] = ",".join(dropped)
        self._end(run, "FINISHED", points, tags)
        with self._telling:  # whoever is told counts, and knows nothing of lanes
            then()

    def _amend(
        self,
        run_id: str,
        outcome: Outcome,
        points: list[Point],
        merged: Sequence[str],
        then: Callable[[], None],
    ) -> None:
        with amending(self.store):  # what another command adds at the same time must stay
            known = self._client.tags(run_id)
            before = {key: _entries(known.get(key)) for key in merged}
            for key, entries in before.items():
                new = json.loads(outcome.tags[key])
                if renewed := entries.keys() & new.keys():  # these values are about to change
                    entries = {name: value for name, value in entries.items() if name not in renewed}
                    self._client.add(run_id, [], {key: json.dumps(entries)})
                before[key] = entries | new
            tags = dict(outcome.tags) | {key: json.dumps(entries) for key, entries in before.items()}
            self._client.add(run_id, points, tags)
        with self._telling:
            then()

    def _fail(self, key: Any, error: str) -> None:
        run = self.runs.get(key, Run())
        if not run.id:  # it broke before it began: there is no run to end
            return
        self._client.log_text(run, error, "error.txt")
        self._end(run, "FAILED")

    def _end(self, run: Run, status: str, points: Sequence[Point] = (), tags: Mapping[str, str] | None = None) -> None:
        now = int(time.time() * 1000)
        self._writing.end(run, status, max(now, self._opened_ms), points, tags or {})
        run.ended = True


def _entries(text: str | None) -> dict[str, Any]:
    """A tag's JSON object; empty where there is none, or nothing that can be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _points(outcome: Outcome) -> list[Point]:
    now = int(time.time() * 1000)
    history = [Point(k, float(v), now, step) for step, values in outcome.history for k, v in values.items()]
    final = [Point(k, float(v), now, _step(k, outcome)) for k, v in outcome.metrics.items()]
    return [point for point in (*history, *final) if _kept(point.key, point.value)]


def _step(metric: str, outcome: Outcome) -> int:
    """The gradient step that a final value is of: of a crossing its own, so that a chart shows it there."""
    for kind in (names.DISTANCE_AT_LOSS, names.STEPS_AT_LOSS):
        if metric.startswith(kind):
            step = outcome.metrics.get(names.STEPS_AT_LOSS + metric.removeprefix(kind), math.nan)
            return int(step) if math.isfinite(step) else outcome.step
    return outcome.step


def _kept(name: str, value: float) -> bool:
    """Whether a value is one: finite, or a measure's statement that a network has no margin."""
    return math.isfinite(value) or (value == math.inf and name.startswith(names.MEASURE))
