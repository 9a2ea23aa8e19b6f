"""Finding runs, and what lies beside them."""

from __future__ import annotations

import getpass
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from initdist import names, provenance
from initdist.paths import sqlite_file
from initdist.secrets import cause
from initdist.tracking import places
from initdist.tracking.process import lives, this_process
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.store import client

PAGE = 200  # runs in memory at a time, each with all it holds


def tagged(name: str, value: str) -> str:
    """The condition of a search that a tag has this value."""
    return f"tags.`{name}` = '{value}'"


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


def stale(store: Store, gone: Collection[str] = ()) -> list[Any]:
    """RUNNING runs of processes that are seen from here to be dead, or that are known to be gone."""
    owned = ((run, run.data.tags.get(names.PROCESS, "")) for run in search(store, "attributes.status = 'RUNNING'"))
    return [run for run, owner in owned if owner in gone or lives(owner) is False]


def close_stale(store: Store, gone: Collection[str] = ()) -> int:
    """End these as KILLED; returns how many."""
    closed = stale(store, gone)
    for run in closed:
        client(store.uri).set_terminated(run.info.run_id, "KILLED")
    return len(closed)


def sweep_id(identities: Iterable[str]) -> str:
    """Short hash of a sweep's identities, whatever their order: a resumed sweep has the same."""
    return hashlib.sha256("\n".join(sorted(set(identities))).encode()).hexdigest()[:12]


def run_tags(kind: str, sweep: str | None) -> dict[str, str]:
    """The tags of every run of ours."""
    tags = {names.KIND: kind, names.PROCESS: this_process(), **code_tags(), **_source()}
    if sweep is not None:
        tags[names.SWEEP] = sweep
    return tags


@cache
def _source() -> dict[str, str]:
    """Who made a run, and with what: columns of MLflow's UI, which its client leaves empty."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in containers
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "initdist.train", "mlflow.source.type": "LOCAL"}


def code_tags() -> dict[str, str]:
    """What this process runs; for a network that is trained, kept, and written by a later command, its training's."""
    commit = provenance.git_commit()
    return {names.VERSION: provenance.VERSION} | ({names.GIT_COMMIT: commit} if commit else {})


def sweep_identities(store: Store, sweep: str) -> set[str] | None:
    """The identities of all networks of a sweep, those that had finished before too; None where there is no such sweep.

    Raises TrackingError where its list cannot be read.
    """
    for run in parents(store, sweep):
        with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
            try:
                file = artifact(store, run, names.NETWORKS_FILE, Path(folder))
                return {one["identity"] for one in json.loads(file.read_text())["networks"]} if file else set()
            except Exception as error:  # an artifact store may raise anything
                raise TrackingError(f"the networks of sweep {sweep} cannot be read: {error}") from cause(error)
    return None


def parents(store: Store, sweep: str) -> Iterator[Any]:
    """The parent runs of a sweep, the newest first: one, but for what earlier versions left."""
    return search(store, f"{tagged(names.KIND, names.KIND_SWEEP)} and {tagged(names.SWEEP, sweep)}")


def artifact(store: Store, run: Any, name: str, folder: Path) -> Path | None:
    """A file of a run: where it lies if that is on this machine, else a copy in a folder; None if the run has none."""
    if not has_artifact(store, run, name):
        return None
    if (here := _folder(store, run)) is not None:
        return here / name
    folder.mkdir(parents=True, exist_ok=True)
    return Path(repository(store, run).download_artifacts(name, str(folder)))


def has_artifact(store: Store, run: Any, name: str) -> bool:
    """Whether a run has a file of this name."""
    if (here := _folder(store, run)) is not None:
        return (here / name).is_file()
    return name in {one.path for one in repository(store, run).list_artifacts()}


def why_no_weights(store: Store, run: Any) -> str:
    """Why a run has none, as far as can be told: a run without files has no folder."""
    here = _folder(store, run)
    if here is not None and here.is_dir():
        return f"there are none in {here}: they were removed, or not kept (tracking.save_weights=false)"
    if here is not None and places.lost(here):
        return (
            f"there is no {here}, nor is it in {places.ARTIFACTS}/ beside the store: bring it back, unless none were "
            "kept (tracking.save_weights=false)"
        )
    return "it was trained with tracking.save_weights=false"


def _folder(store: Store, run: Any) -> Path | None:
    """Where the files of a run are, if that is on this machine."""
    return places.folder(run.info.artifact_uri, sqlite_file(store.uri))


def repository(store: Store, run: Any) -> Any:
    """MLflow's way to the files of a run, wherever they are."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    here = _folder(store, run)
    uri = run.info.artifact_uri if here is None else here.as_uri()
    return get_artifact_repository(uri, tracking_uri=store.uri)
