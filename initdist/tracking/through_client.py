"""Networks' runs by MLflow's client, which every store understands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from initdist.tracking.records import NetworkFacts, Point, Run, Store
from initdist.tracking.store import client

ENTRIES_A_CALL = 1000  # MLflow's limit
ATTEMPTS = 5  # at what two processes may both try to insert


class ThroughClient:
    """Begins and ends runs in a few calls each. A call that failed in between can be made again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = client(store.uri)

    def begin(self, run: Run, network: NetworkFacts, tags: Mapping[str, str]) -> None:
        """Create a run, RUNNING, with the params, tags and datasets of a network."""
        from mlflow.entities import Param

        if not run.id:
            info = self._client.create_run(self._store.experiment_id, tags=dict(tags), run_name=network.name).info
            run.id, run.artifact_uri = info.run_id, info.artifact_uri
        self._client.log_batch(run.id, params=[Param(key, str(value)) for key, value in network.params.items()])
        self._log_inputs(run.id, list(_inputs(network)))

    def end(self, run: Run, status: str, end_ms: int, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Add values and tags to a run, and end it."""
        if points or tags:
            self.add(run.id, points, tags)
        self._client.set_terminated(run.id, status, end_ms)

    def add(self, run_id: str, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Add values, and then tags, to a run."""
        from mlflow.entities import Metric, RunTag

        metrics = [Metric(*point) for point in points]
        named = [RunTag(key, value) for key, value in tags.items()]
        first = 0  # a call of more entries the client would divide, and send the tags before the last values
        while len(metrics) - first + len(named) > ENTRIES_A_CALL:
            self._client.log_batch(run_id, metrics=metrics[first : first + ENTRIES_A_CALL])
            first += ENTRIES_A_CALL
        self._client.log_batch(run_id, metrics=metrics[first:], tags=named)

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        found: dict[str, str] = self._client.get_run(run_id).data.tags
        return found

    def log_text(self, run: Run, text: str, name: str) -> None:
        """Add a text file to a run."""
        self._client.log_text(run.id, text, name)

    def _log_inputs(self, run_id: str, datasets: list[Any]) -> None:
        """MLflow looks a dataset up, then inserts it: of two processes with a new one, the slower must look again."""
        from mlflow.exceptions import MlflowException

        for attempt in range(ATTEMPTS):
            try:
                self._client.log_inputs(run_id, datasets=datasets)
                return
            except MlflowException as error:
                if "UNIQUE" not in str(error).upper() or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.05 * 2**attempt)


def _inputs(network: NetworkFacts) -> Iterator[Any]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for info in network.datasets:
        dataset = Dataset(info.name, info.digest, source_type=info.SOURCE_TYPE, source=info.source_json)
        yield DatasetInput(dataset, [InputTag(info.CONTEXT_TAG, info.context)])
