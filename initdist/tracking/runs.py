"""Finding runs, and the sweep's parent run."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from initdist import __version__, names
from initdist.tracking.process import git_commit, is_dead, this_process
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.store import client

PAGE = 200  # runs in memory at a time, each with all it holds


def search(store: Store, condition: str) -> Iterator[Any]:
    """All runs of the experiment that meet a condition, newest first."""
    token = None
    while True:
        page = client(store.uri).search_runs(
            [store.experiment_id],
            condition,
            max_results=PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _tag(name: str, value: str) -> str:
    return f"tags.`{name}` = '{value}'"


def finished(store: Store, since_ms: int | None = None, stop_reason: str | None = None) -> dict[str, str]:
    """Identity -> run id of FINISHED networks, the latest of each: all, or those that ended since, or so."""
    return {identity: run.info.run_id for identity, run in finished_runs(store, since_ms, stop_reason).items()}


def finished_runs(store: Store, since_ms: int | None = None, stop_reason: str | None = None) -> dict[str, Any]:
    """As `finished`, the runs themselves."""
    condition = f"attributes.status = 'FINISHED' and {_tag(names.KIND, names.KIND_NETWORK)}"
    if since_ms is not None:
        condition += f" and attributes.end_time >= {since_ms}"
    if stop_reason is not None:
        condition += f" and {_tag(names.STOP_REASON, stop_reason)}"
    found: dict[str, Any] = {}
    for run in search(store, condition):
        found.setdefault(run.data.tags[names.IDENTITY], run)
    return found


def stale(store: Store) -> list[Any]:
    """RUNNING runs of dead processes of this host."""
    running = search(store, "attributes.status = 'RUNNING'")
    return [run for run in running if is_dead(run.data.tags.get(names.PROCESS, ""))]


def close_stale(store: Store) -> int:
    """End these as KILLED; returns how many."""
    closed = stale(store)
    for run in closed:
        client(store.uri).set_terminated(run.info.run_id, "KILLED")
    return len(closed)


def sweep_id(identities: Iterable[str]) -> str:
    """Short hash of a sweep's identities, whatever their order: a resumed sweep has the same."""
    return hashlib.sha256("\n".join(sorted(set(identities))).encode()).hexdigest()[:12]


def run_tags(kind: str, sweep: str | None) -> dict[str, str]:
    """The tags of every run of ours."""
    tags = {names.KIND: kind, names.VERSION: __version__, names.PROCESS: this_process()}
    if sweep is not None:
        tags[names.SWEEP] = sweep
    if commit := git_commit():
        tags[names.GIT_COMMIT] = commit
    return tags


def open_sweep(
    store: Store, sweep: str, name: str, networks: Sequence[Mapping[str, str]], command: str | None = None
) -> str:
    """Find or create the sweep's parent run, RUNNING, with the list of its networks; returns its run id."""
    tags = run_tags(names.KIND_SWEEP, sweep)
    if command is not None:
        tags["initdist.command"] = command
    mlflow = client(store.uri)
    for run in _parents(store, sweep):
        run_id: str = run.info.run_id
        mlflow.update_run(run_id, status="RUNNING")
        for key, value in tags.items():
            mlflow.set_tag(run_id, key, value)
        return run_id
    run_id = mlflow.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id
    mlflow.log_dict(run_id, {"sweep": sweep, "networks": [dict(network) for network in networks]}, names.NETWORKS_FILE)
    return run_id


def sweep_identities(store: Store, sweep: str) -> set[str] | None:
    """The identities of all networks of a sweep, those that had finished before too; None where there is no such sweep.

    Raises TrackingError where its list cannot be read.
    """
    for run in _parents(store, sweep):
        with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
            try:
                file = artifact(store, run, names.NETWORKS_FILE, Path(folder))
                return {one["identity"] for one in json.loads(file.read_text())["networks"]} if file else set()
            except Exception as error:  # an artifact store may raise anything
                raise TrackingError(f"the networks of sweep {sweep} cannot be read: {error}") from error
    return None


def _parents(store: Store, sweep: str) -> Iterator[Any]:
    return search(store, f"{_tag(names.KIND, names.KIND_SWEEP)} and {_tag(names.SWEEP, sweep)}")


def artifact(store: Store, run: Any, name: str, folder: Path) -> Path | None:
    """A file of a run: where it lies if that is on this machine, else a copy in a folder; None if the run has none."""
    if not has_artifact(store, run, name):
        return None
    if (here := _folder(run)) is not None:
        return here / name
    folder.mkdir(parents=True, exist_ok=True)
    return Path(_repository(store, run).download_artifacts(name, str(folder)))


def has_artifact(store: Store, run: Any, name: str) -> bool:
    """Whether a run has a file of this name."""
    if (here := _folder(run)) is not None:
        return (here / name).is_file()
    return name in {one.path for one in _repository(store, run).list_artifacts()}


def _folder(run: Any) -> Path | None:
    """Where the files of a run are, if that is on this machine."""
    where = urlparse(run.info.artifact_uri)
    return Path(unquote(where.path)) if where.scheme in ("", "file") else None


def _repository(store: Store, run: Any) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(run.info.artifact_uri, tracking_uri=store.uri)


def close_sweep(store: Store, run_id: str, status: str, summary: Mapping[str, float]) -> None:
    """End the parent run with its summary as metrics."""
    mlflow = client(store.uri)
    for key, value in summary.items():
        mlflow.log_metric(run_id, key, value)
    mlflow.set_terminated(run_id, status)
