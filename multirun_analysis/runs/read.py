"""MLflow -> one tidy frame, one row a network's run, nothing dropped yet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initdist import names, tracking
from initdist.paths import sqlite_file
from initdist.secrets import cause
from multirun_analysis.errors import AnalysisError
from multirun_analysis.labels import listing
from multirun_analysis.runs.arms import settled
from multirun_analysis.runs.params import NUMERIC, completed, is_seed, typed, unparsable
from multirun_analysis.runs.records import TAGS, Records, Tell, records_of
from multirun_analysis.runs.store import (
    check_sqlite,
    check_uri,
    missing_experiment,
    one_line,
    open_client,
)

if TYPE_CHECKING:
    import pandas as pd

RUN_ID, RUN_NAME, STATUS = "run_id", "run_name", "status"
STARTED, ENDED = "start_time", "end_time"
IDENTITY, STOP_REASON, CONVERGED, SWEEP = "identity", "stop_reason", "converged", "sweep"
INVALID, EXCLUDED, DETAIL = "invalid", "excluded", "excluded_detail"
INPUT_SHAPE, CLASSES, TEST_SIZE, COMMIT, VERSION = "input_shape", "classes", "test_size", "commit", "version"
MEASURE_OPTIONS, TEST_CORRECT = "measure_options", "test_correct"
HISTORY_COLUMNS = (RUN_ID, "metric", "step", "value")


def quiet(_: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Source:
    """Where the networks came from, and what lay beside them."""

    uri: str
    experiment: str
    experiment_id: str = ""
    sweep: str | None = None  # the one sweep that is analyzed, if it is one
    parent_run: str | None = None  # its MLflow run
    parent_files: str = ""  # where the store says that this one's files are
    other_runs: int = 0  # runs of the experiment that are neither a network nor a sweep
    missing: int = 0  # networks of the sweep without any finished run
    filtered: int = 0  # networks that the filter `where` leaves out
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
        """The rows that the statistics see, once exclusions.exclude has filled the column `excluded`."""
        return self.frame[self.frame[EXCLUDED] == ""]


def read_networks(uri: str, experiment: str, sweep: str | None = None, tell: Tell = quiet) -> Networks:
    """Every network's run of an experiment, or of one sweep. Raises AnalysisError if there is none."""
    return networks_of(read_records(uri, experiment, tell), Source(uri, experiment, sweep=sweep))


def read_records(uri: str, experiment: str, tell: Tell = quiet) -> Records:
    """All runs of an experiment and the lists of its sweeps. Raises AnalysisError."""
    tell("reading the store")
    with reading(uri) as reader:
        found = reader.experiment(experiment)
        if found.id is None:
            raise missing_experiment(uri, experiment, found.was_deleted, found.others)
        rows = reader.rows(found.id, TAGS.values(), lambda number: tell(f"reading the store: {number:,} runs"))
        return _with_lists(records_of(found.id, rows), uri)


def read_histories(uri: str, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Columns run_id, metric, step, value: histories of some runs, one point a step (the last one logged)."""
    import pandas as pd

    with reading(uri) as reader:
        points = reader.histories(run_ids, metrics)
    frame = pd.DataFrame(points, columns=list(HISTORY_COLUMNS)).astype({"value": "float64"})
    frame = frame.drop_duplicates([RUN_ID, "metric", "step"], keep="last")
    order = {run_id: place for place, run_id in enumerate(run_ids)}
    frame = frame.assign(place=frame[RUN_ID].map(order)).sort_values(["place", "metric", "step"], kind="stable")
    return frame.drop(columns="place").reset_index(drop=True)


def networks_of(records: Records, source: Source) -> Networks:
    """The networks among the records, typed. source: uri, experiment, and the sweep asked for or None."""
    kinds = records.tags["kind"]
    is_network = kinds == names.KIND_NETWORK
    if not is_network.any():
        raise AnalysisError(
            f"tracking.experiment={source.experiment} in {source.uri} holds no network "
            f"({len(records)} runs): train some first, for example "
            "python -m initdist.train -m model.width=64,256 seed=0,1,2"
        )
    other = int((~is_network & (kinds != names.KIND_SWEEP)).sum())
    source = replace(source, experiment_id=records.experiment_id, other_runs=other)
    chosen, source = _choose(records, is_network, source)
    return _frame(records, np.flatnonzero(chosen), source)


@contextmanager
def reading(uri: str) -> Iterator[tracking.Reader]:
    """A reader of a store that is there. Raises AnalysisError."""
    check_uri(uri)
    if uri.startswith("sqlite"):
        check_sqlite(uri)
    try:
        with tracking.reading(uri) as reader:
            yield reader
    except tracking.TrackingError as error:
        known = str(error).startswith("tracking.uri ")  # it says what to do
        raise AnalysisError(
            str(error) if known else f"tracking.uri={uri} cannot be read: {one_line(error)}"
        ) from cause(error)


def _with_lists(records: Records, uri: str) -> Records:
    """With what the parents of sweeps list as theirs."""
    parents = np.flatnonzero(records.tags["kind"] == names.KIND_SWEEP)
    run_ids, places = records.info["run_id"], records.info["artifact_uri"]
    lists = {run_ids[at]: _identities(uri, run_ids[at], str(places[at] or "")) for at in parents}
    return replace(records, identities=lists)


def folder_of(uri: str, artifacts: str) -> Path | None:
    """Where the files of a run are, if that is on this machine."""
    return None if uri.startswith("http") else tracking.folder(artifacts, sqlite_file(uri))


def _identities(uri: str, run_id: str, artifacts: str) -> frozenset[str]:
    """Identities in a parent's networks.json; empty if it has none that can be read."""
    try:
        folder = folder_of(uri, artifacts)
        if folder is not None:
            return _listed(folder / names.NETWORKS_FILE)
        with tempfile.TemporaryDirectory() as scratch:
            return _listed(Path(open_client(uri).download_artifacts(run_id, names.NETWORKS_FILE, scratch)))
    except Exception:  # each kind of artifact store has errors of its own: without its list a sweep has its own runs
        return frozenset()


def _listed(file: Path) -> frozenset[str]:
    return frozenset(str(network["identity"]) for network in json.loads(file.read_text("utf-8"))["networks"])


def _choose(records: Records, is_network: np.ndarray, source: Source) -> tuple[np.ndarray, Source]:
    """[runs] which belong to the selected sweep, or all; and which single sweep, if any, they make up."""
    sweeps, run_ids = records.tags["sweep"], records.info["run_id"]
    parents = np.flatnonzero(records.tags["kind"] == names.KIND_SWEEP)
    by_sweep = {sweeps[at]: run_ids[at] for at in parents if sweeps[at]}  # oldest first: the latest parent stays
    wanted = source.sweep
    if wanted is None:
        if len(by_sweep) != 1:
            return is_network, source
        wanted = next(iter(by_sweep))
    elif wanted not in by_sweep:
        known = listing(list(by_sweep)[::-1]) or "no sweep"
        raise AnalysisError(
            f"sweep={wanted} is not in tracking.experiment={source.experiment}. It holds: {known}. "
            "An id that reads as a number needs quotes: \"sweep='12e34'\""
        )
    parent = by_sweep[wanted]
    identities = records.identities.get(parent, frozenset())
    own = records.tags[IDENTITY]
    listed = np.fromiter((identity in identities for identity in own), bool, len(own))
    chosen = is_network & (listed | (sweeps == wanted))
    if source.sweep is None and chosen.sum() != is_network.sum():
        return is_network, source
    if not chosen.any():
        raise AnalysisError(f"sweep={wanted} has no network in tracking.experiment={source.experiment} yet")
    finished = set(own[chosen & (records.info["status"] == "FINISHED")])
    notes = (
        () if identities else (f"{names.NETWORKS_FILE} of sweep {wanted} cannot be read: only its own runs are used",)
    )
    missing, files = len(identities - finished), str(records.info["artifact_uri"][run_ids == parent][0] or "")
    return chosen, replace(source, sweep=wanted, parent_run=parent, parent_files=files, missing=missing, notes=notes)


def _frame(records: Records, rows: np.ndarray, source: Source) -> Networks:
    import pandas as pd

    info = {name: values[rows] for name, values in records.info.items()}
    params = {name: values[rows] for name, values in records.params.items()}
    params = {n: completed(n, values) for n, values in params.items() if any(value is not None for value in values)}
    metrics = {name: values[rows] for name, values in records.metrics.items() if name not in params}
    metrics = {name: values for name, values in metrics.items() if not np.isnan(values).all()}
    tags = {name: records.tags[name][rows] for name in TAGS if name != "kind"}
    base = pd.DataFrame(
        {
            RUN_ID: info["run_id"],
            RUN_NAME: info["run_name"],
            STATUS: info["status"],
            STARTED: pd.to_datetime(pd.Series(info["start_time"], dtype="float64"), unit="ms", utc=True),
            ENDED: pd.to_datetime(pd.Series(info["end_time"], dtype="float64"), unit="ms", utc=True),
            INVALID: _invalid(info["status"], tags, params),
            **tags,
        }
    )
    columns = {name: typed(values, base.index, name in NUMERIC) for name, values in params.items()}
    columns |= {name: pd.Series(values, index=base.index) for name, values in metrics.items()}
    frame = settled(pd.concat([base, pd.DataFrame(columns)], axis=1))
    order = [*(p for p in params if not is_seed(p)), *(p for p in params if is_seed(p)), RUN_ID]
    frame = frame.sort_values(order, kind="stable", na_position="last").reset_index(drop=True)
    return Networks(frame, tuple(params), tuple(metrics), source)


def _invalid(status: np.ndarray, tags: dict[str, np.ndarray], params: dict[str, np.ndarray]) -> list[str]:
    """What makes each finished run unusable as a record, or the empty string."""
    wrong = unparsable(params, len(status))
    for at in range(len(status)):
        if not tags[IDENTITY][at]:
            wrong[at] = f"no tag {names.IDENTITY}"
        elif status[at] == "FINISHED" and not tags[STOP_REASON][at]:
            wrong[at] = f"no tag {names.STOP_REASON}"
    return wrong
