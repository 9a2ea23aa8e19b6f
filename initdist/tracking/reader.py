"""The runs of an experiment as plain rows, from the tables of a database or through MLflow's client.

Both ways give the same. Nothing is imported for an SQLite store, so that reading it starts at once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from initdist.secrets import cause
from initdist.tracking.records import TrackingError
from initdist.tracking.store import client, explained, quickly
from initdist.tracking.tables import Select, listed, opened
from initdist.tracking.uri import checked

COLUMNS = {
    "experiments": {"experiment_id", "name", "lifecycle_stage", "workspace"},
    "runs": {
        "run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id",
    },
    "params": {"key", "value", "run_uuid"},
    "tags": {"key", "value", "run_uuid"},
    "latest_metrics": {"key", "value", "is_nan", "run_uuid"},
    "metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
}  # fmt: skip
IDS_A_QUERY = 500
PAGE = 1000  # runs that the client gives at once
Entry = tuple[str, str, Any]  # run id, key, value
Point = tuple[str, str, int, float | None]  # run id, metric, step, value


class Row(NamedTuple):
    """What a store says of a run itself; the times in ms."""

    run_id: str
    run_name: str | None
    status: str
    artifact_uri: str | None
    start_time: int
    end_time: int | None


class Rows(NamedTuple):
    """The active runs of an experiment, by start and run id, and what they hold; to be read once."""

    runs: list[Row]
    params: Iterable[Entry]
    metrics: Iterable[Entry]  # the latest value of each; None or NaN where that is none
    tags: Iterable[Entry]


class Experiment(NamedTuple):
    """What a name stands for in a store."""

    id: str | None  # None where there is none, or where it was deleted
    was_deleted: bool
    others: list[str]  # all active experiments, where it is none of them


class Reader(Protocol):
    """Reads a store. Every method raises TrackingError."""

    def experiment(self, name: str) -> Experiment: ...

    def rows(self, experiment_id: str, tags: Collection[str], tell: Callable[[int], None]) -> Rows:
        """All active runs, with these tags. `tell` hears how many have been read, where that takes long."""

    def histories(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        """Every point of some runs, in the order in which they were logged."""


@contextlib.contextmanager
def reading(uri: str) -> Iterator[Reader]:
    """The fastest reader of a store that is there. Raises TrackingError, also for what its reading raises."""
    uri = checked(uri)
    with opened(uri, COLUMNS) as select:
        if select is not None:
            yield FromTables(select)
            return
    from mlflow.exceptions import MlflowException

    try:
        yield FromClient(client(uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(explained(uri, str(error))) from cause(error)


class FromTables:
    """Of a database with the tables that are read here."""

    def __init__(self, select: Select) -> None:
        self._select = select

    def experiment(self, name: str) -> Experiment:
        rows = self._select(
            "SELECT experiment_id, name, lifecycle_stage FROM experiments WHERE workspace = 'default'", {}
        )
        stages = {other: (str(number), stage) for number, other, stage in rows}
        number, stage = stages.get(name, (None, ""))
        if stage == "active":
            return Experiment(number, False, [])
        return Experiment(
            None, number is not None, [other for other, (_, stage) in stages.items() if stage == "active"]
        )

    def rows(self, experiment_id: str, tags: Collection[str], tell: Callable[[int], None]) -> Rows:
        of = {"experiment": int(experiment_id)}
        active = "experiment_id = :experiment AND lifecycle_stage = 'active'"
        within = f"run_uuid IN (SELECT run_uuid FROM runs WHERE {active})"
        places, keys = listed("key", tags)
        value = "CASE WHEN is_nan THEN NULL ELSE value END"
        runs = self._select(
            f"SELECT run_uuid, name, status, artifact_uri, start_time, end_time FROM runs WHERE {active} "
            "ORDER BY start_time, run_uuid",
            of,
        )
        return Rows(
            [Row(*row) for row in runs],
            self._select(f"SELECT run_uuid, key, value FROM params WHERE {within}", of),
            self._select(f"SELECT run_uuid, key, {value} FROM latest_metrics WHERE {within}", of),
            self._select(f"SELECT run_uuid, key, value FROM tags WHERE {within} AND key IN ({places})", {**of, **keys}),
        )

    def histories(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        points: list[Any] = []
        keys, names = listed("key", metrics)
        for first in range(0, len(run_ids), IDS_A_QUERY):
            runs, ids = listed("run", run_ids[first : first + IDS_A_QUERY])
            points += self._select(
                "SELECT run_uuid, key, step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics "
                f"WHERE run_uuid IN ({runs}) AND key IN ({keys}) ORDER BY timestamp, step",
                {**ids, **names},
            )
        return points


class FromClient:
    """Of any store."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def experiment(self, name: str) -> Experiment:
        with quickly():
            found = self._client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "active":
            return Experiment(found.experiment_id, False, [])
        others = _pages(lambda token: self._client.search_experiments(page_token=token))
        return Experiment(None, found is not None, [one.name for one in others])

    def rows(self, experiment_id: str, tags: Collection[str], tell: Callable[[int], None]) -> Rows:
        """Oldest first, so that runs created meanwhile cannot shift a page."""
        order = ["attributes.start_time ASC"]
        found = []
        for run in _pages(
            lambda token: self._client.search_runs([experiment_id], max_results=PAGE, order_by=order, page_token=token)
        ):
            found.append(run)
            if len(found) % PAGE == 0:
                tell(len(found))
        found.sort(key=lambda run: (run.info.start_time, run.info.run_id))
        infos = [run.info for run in found]
        return Rows(
            [Row(i.run_id, i.run_name, i.status, i.artifact_uri, i.start_time, i.end_time) for i in infos],
            ((run.info.run_id, *entry) for run in found for entry in run.data.params.items()),
            ((run.info.run_id, *entry) for run in found for entry in run.data.metrics.items()),
            ((run.info.run_id, *entry) for run in found for entry in run.data.tags.items() if entry[0] in tags),
        )

    def histories(self, run_ids: Sequence[str], metrics: Sequence[str]) -> list[Point]:
        return [
            (run_id, metric, point.step, math.nan if point.value is None else point.value)
            for run_id in run_ids
            for metric in metrics
            for point in sorted(
                self._client.get_metric_history(run_id, metric), key=lambda point: (point.timestamp, point.step)
            )
        ]


def _pages(call: Callable[[str | None], Any]) -> Iterator[Any]:
    token = None
    while True:
        page = call(token)
        yield from page
        token = page.token
        if not token:
            return
