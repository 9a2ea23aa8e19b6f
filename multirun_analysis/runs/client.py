"""Any tracking store, read through MLflow's client, to the same records as `sqlite.py` gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from multirun_analysis.errors import AnalysisError
from multirun_analysis.runs.records import TAGS, Records, Tell, finite, spread
from multirun_analysis.runs.store import masked, one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000


def read(client: MlflowClient, uri: str, experiment_id: str, tell: Tell) -> Records:
    """All active runs of an experiment. Raises AnalysisError if the store does not answer."""
    runs = sorted(_pages(client, uri, experiment_id, tell), key=lambda run: (run.info.start_time, run.info.run_id))
    columns = {
        "run_id": [run.info.run_id for run in runs],
        "run_name": [run.info.run_name for run in runs],
        "status": [run.info.status for run in runs],
        "artifact_uri": [run.info.artifact_uri for run in runs],
        "start_time": [run.info.start_time for run in runs],
        "end_time": [run.info.end_time for run in runs],
    }
    info = {name: _texts(values) for name, values in columns.items()}
    ids = info["run_id"]
    metrics = spread(
        ((run.info.run_id, key, value) for run in runs for key, value in run.data.metrics.items()), ids, numeric=True
    )
    return Records(
        str(experiment_id),
        info,
        spread(((run.info.run_id, key, value) for run in runs for key, value in run.data.params.items()), ids),
        {key: finite(values) for key, values in metrics.items()},
        {column: _texts([run.data.tags.get(tag) for run in runs]) for column, tag in TAGS.items()},
    )


def histories(
    client: MlflowClient, run_ids: Sequence[str], metrics: Sequence[str]
) -> list[tuple[str, str, int, float]]:
    """Run id, metric, step, value of every point, in the order in which they were logged."""
    return [
        (run_id, metric, point.step, math.nan if point.value is None else point.value)
        for run_id in run_ids
        for metric in metrics
        for point in sorted(client.get_metric_history(run_id, metric), key=lambda point: (point.timestamp, point.step))
    ]


def _pages(client: MlflowClient, uri: str, experiment_id: str, tell: Tell) -> Iterator[Run]:
    """All active runs; oldest first, so that runs created meanwhile cannot shift a page."""
    from mlflow.exceptions import MlflowException

    token, number = None, 0
    while True:
        try:
            page = client.search_runs(
                [experiment_id], max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
        except (MlflowException, OSError) as error:
            raise AnalysisError(f"tracking.uri={masked(uri)} cannot be read: {one_line(error)}") from error
        yield from page
        number += len(page)
        tell(f"reading the store: {number:,} runs")
        token = page.token
        if not token:
            return


def _texts(values: Sequence[object]) -> np.ndarray:
    column = np.full(len(values), None, dtype=object)
    column[:] = values
    return column
