"""MLflow -> one tidy frame, one row a network's run, nothing dropped yet."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from initdist import names
from multirun_analysis.errors import AnalysisError
from multirun_analysis.params import NUMERIC, is_seed, typed, unparsable
from multirun_analysis.store import find_experiment, listing, masked, one_line, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000
RUN_ID, RUN_NAME, STATUS = "run_id", "run_name", "status"
STARTED, ENDED = "start_time", "end_time"
IDENTITY, STOP_REASON, SWEEP = "identity", "stop_reason", "sweep"
INVALID, EXCLUDED, DETAIL = "invalid", "excluded", "excluded_detail"
INPUT_SHAPE, CLASSES, TEST_SIZE, COMMIT, VERSION = "input_shape", "classes", "test_size", "commit", "version"
TEST_CORRECT = "test_correct"  # as tagged: base64 of numpy.packbits
TAGS = {
    IDENTITY: names.IDENTITY,
    STOP_REASON: names.STOP_REASON,
    SWEEP: names.SWEEP,
    INPUT_SHAPE: names.INPUT_SHAPE,
    CLASSES: names.CLASSES,
    TEST_SIZE: names.TEST_SIZE,
    TEST_CORRECT: names.TEST_CORRECT,
    VERSION: names.VERSION,
    COMMIT: names.GIT_COMMIT,
}


@dataclass(frozen=True)
class Source:
    """Where the networks came from, and what lay beside them."""

    uri: str
    experiment: str
    sweep: str | None = None  # the one sweep that is analyzed, if it is one
    parent_run: str | None = None  # its MLflow run
    other_runs: int = 0  # runs of the experiment that are neither a network nor a sweep
    missing: int = 0  # networks of the sweep without any finished run
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Networks:
    """frame: one row a run, sorted by params, seeds, run id; column `excluded` is empty for the networks used."""

    frame: pd.DataFrame
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    source: Source

    @property
    def used(self) -> pd.DataFrame:
        """The rows that the statistics see, once selection.exclude has filled the column `excluded`."""
        return self.frame[self.frame[EXCLUDED] == ""]


def read_networks(uri: str, experiment: str, sweep: str | None = None) -> Networks:
    """Every network's run of an experiment, or of one sweep. Raises AnalysisError if there is none."""
    client = open_client(uri)
    found = find_experiment(client, uri, experiment)
    runs = list(_pages(client, uri, found.experiment_id))
    by_kind: dict[str, list[Run]] = {names.KIND_NETWORK: [], names.KIND_SWEEP: [], "": []}
    for run in runs:
        kind = run.data.tags.get(names.KIND, "")
        by_kind[kind if kind in by_kind else ""].append(run)
    networks, parents = by_kind[names.KIND_NETWORK], by_kind[names.KIND_SWEEP]
    if not networks:
        raise AnalysisError(
            f"tracking.experiment={experiment} in {masked(uri)} holds no network "
            f"({len(runs)} runs): train some first, for example "
            "python -m initdist.train -m model.width=64,256 seed=0,1,2"
        )
    chosen, source = _choose(client, networks, parents, Source(uri, experiment, sweep, other_runs=len(by_kind[""])))
    return _frame(chosen, source)


def read_histories(uri: str, run_ids: Sequence[str], metric: str) -> pd.DataFrame:
    """Columns run_id, step, value: a metric's history of some runs, one point a step (the last one logged)."""
    client = open_client(uri)
    rows = [
        (run_id, point.step, _finite(point.value))
        for run_id in run_ids
        for point in sorted(client.get_metric_history(run_id, metric), key=lambda p: (p.step, p.timestamp))
    ]
    frame = pd.DataFrame(rows, columns=[RUN_ID, "step", "value"])
    return frame.drop_duplicates([RUN_ID, "step"], keep="last").reset_index(drop=True)


def _pages(client: MlflowClient, uri: str, experiment_id: str) -> Iterator[Run]:
    """All active runs; oldest first, so that runs created meanwhile cannot shift a page."""
    from mlflow.exceptions import MlflowException

    token = None
    while True:
        try:
            page = client.search_runs(
                [experiment_id], max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
        except (MlflowException, OSError) as error:
            raise AnalysisError(f"tracking.uri={masked(uri)} cannot be read: {one_line(error)}") from error
        yield from page
        token = page.token
        if not token:
            return


def _choose(client: MlflowClient, networks: list[Run], parents: list[Run], source: Source) -> tuple[list[Run], Source]:
    """The runs of the selected sweep, or all; and which single sweep, if any, they make up."""
    by_sweep = {run.data.tags.get(names.SWEEP, ""): run for run in parents}  # oldest first: the latest parent stays
    by_sweep.pop("", None)
    wanted = source.sweep
    if wanted is None:
        if len(by_sweep) != 1:
            return networks, source
        wanted = next(iter(by_sweep))
    elif wanted not in by_sweep:
        known = listing(list(by_sweep)[::-1]) or "no sweep"
        raise AnalysisError(
            f"sweep={wanted} is not in tracking.experiment={source.experiment}. It holds: {known}. "
            "An id that reads as a number needs quotes: \"sweep='12e34'\""
        )
    parent = by_sweep[wanted]
    identities = _identities(client, parent.info.run_id)
    chosen = [
        run
        for run in networks
        if run.data.tags.get(names.IDENTITY) in identities or (run.data.tags.get(names.SWEEP) == wanted)
    ]
    if source.sweep is None and len(chosen) != len(networks):
        return networks, source
    if not chosen:
        raise AnalysisError(f"sweep={wanted} has no network in tracking.experiment={source.experiment} yet")
    finished = {run.data.tags.get(names.IDENTITY) for run in chosen if run.info.status == "FINISHED"}
    notes = (
        () if identities else (f"{names.NETWORKS_FILE} of sweep {wanted} cannot be read: only its own runs are used",)
    )
    missing = len(identities - finished)
    return chosen, replace(source, sweep=wanted, parent_run=parent.info.run_id, missing=missing, notes=notes)


def _identities(client: MlflowClient, run_id: str) -> set[str]:
    """Identities in a parent's networks.json; empty if it has none that can be read."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = client.download_artifacts(run_id, names.NETWORKS_FILE, folder)
            with open(path, encoding="utf-8") as file:
                return {str(network["identity"]) for network in json.load(file)["networks"]}
        except (MlflowException, OSError, ValueError, KeyError, TypeError):
            return set()


def _frame(runs: list[Run], source: Source) -> Networks:
    base = pd.DataFrame(
        {
            RUN_ID: [run.info.run_id for run in runs],
            RUN_NAME: [run.info.run_name for run in runs],
            STATUS: [run.info.status for run in runs],
            STARTED: pd.to_datetime([run.info.start_time for run in runs], unit="ms", utc=True),
            ENDED: pd.to_datetime([run.info.end_time for run in runs], unit="ms", utc=True),
            INVALID: [_invalid(run) for run in runs],
            **{column: [run.data.tags.get(tag) for run in runs] for column, tag in TAGS.items()},
        }
    )
    params = sorted({name for run in runs for name in run.data.params})
    metrics = sorted({name for run in runs for name in run.data.metrics} - set(params))
    columns: dict[str, Any] = {
        name: typed([run.data.params.get(name) for run in runs], base.index, name in NUMERIC) for name in params
    }
    for name in metrics:
        values = [_finite(run.data.metrics.get(name, math.nan)) for run in runs]
        columns[name] = pd.Series(values, index=base.index, dtype="float64")
    frame = pd.concat([base, pd.DataFrame(columns)], axis=1)
    order = [*(p for p in params if not is_seed(p)), *(p for p in params if is_seed(p)), RUN_ID]
    frame = frame.sort_values(order, kind="stable", na_position="last").reset_index(drop=True)
    return Networks(frame, tuple(params), tuple(metrics), source)


def _invalid(run: Run) -> str:
    """What makes a finished run unusable as a record, or the empty string."""
    if not run.data.tags.get(names.IDENTITY):
        return f"no tag {names.IDENTITY}"
    if run.info.status == "FINISHED" and not run.data.tags.get(names.STOP_REASON):
        return f"no tag {names.STOP_REASON}"
    return unparsable(run.data.params)


def _finite(value: float) -> float:
    """MLflow stores an infinite metric as the largest float: back to infinity."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value
