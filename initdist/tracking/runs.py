"""Finding runs, and the sweep's parent run."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from initdist import __version__, names
from initdist.tracking.process import git_commit, is_alive, is_dead, this_process
from initdist.tracking.records import Store
from initdist.tracking.store import client

PAGE = 1000


def _tag(name: str, value: str) -> str:
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


class Finished(NamedTuple):
    """A finished network: its run, why it stopped, and by which code it was trained."""

    run_id: str
    stop_reason: str
    code: str


_FINISHED = f"attributes.status = 'FINISHED' and {_tag(names.KIND, names.KIND_NETWORK)}"


def finished(store: Store, since_ms: int | None = None, but: Container[str] = ()) -> dict[str, Finished]:
    """Identity -> FINISHED network, the latest of each: all, or those said to have ended since; but for these runs."""
    return _finished(store, "" if since_ms is None else f" and attributes.end_time >= {since_ms}", but)


def finished_among(store: Store, identities: Iterable[str]) -> dict[str, Finished]:
    """As `finished`, of these networks; asks for one after the other."""
    found: dict[str, Finished] = {}
    for identity in identities:
        found |= _finished(store, f" and {_tag(names.IDENTITY, identity)}")
    return found


def _finished(store: Store, condition: str, but: Container[str] = ()) -> dict[str, Finished]:
    found: dict[str, Finished] = {}
    for run in search(store, _FINISHED + condition):
        tags = run.data.tags
        one = Finished(run.info.run_id, tags.get(names.STOP_REASON, ""), tags.get(names.CODE, ""))
        if one.run_id not in but:
            found.setdefault(tags.get(names.IDENTITY, ""), one)
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
    tags = {names.KIND: kind, names.PROCESS: this_process(), **code_tags()}
    if sweep is not None:
        tags[names.SWEEP] = sweep
    return tags


def code_tags() -> dict[str, str]:
    """What this process runs; for a network that is trained, kept, and written by a later command, its training's."""
    commit = git_commit()
    return {names.VERSION: __version__} | ({names.GIT_COMMIT: commit} if commit else {})


def open_sweep(
    store: Store, sweep: str, name: str, networks: Sequence[Mapping[str, str]], command: str | None = None
) -> str:
    """Find or create the sweep's parent run, RUNNING, with the list of its networks; returns its run id.

    Where the same sweep runs in another living process, the run stays that one's.
    """
    tags = run_tags(names.KIND_SWEEP, sweep)
    if command is not None:
        tags["initdist.command"] = command
    condition = f"{_tag(names.KIND, names.KIND_SWEEP)} and {_tag(names.SWEEP, sweep)}"
    mlflow = client(store.uri)
    for run in search(store, condition):
        run_id: str = run.info.run_id
        if not _is_anothers(run):
            for key, value in tags.items():  # the owner first: a run of a dead one may be closed at any time
                mlflow.set_tag(run_id, key, value)
            mlflow.update_run(run_id, status="RUNNING")
        return run_id
    run_id = mlflow.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id
    mlflow.log_dict(run_id, {"sweep": sweep, "networks": [dict(network) for network in networks]}, names.NETWORKS_FILE)
    return run_id


def close_sweep(store: Store, run_id: str, status: str, summary: Mapping[str, float]) -> None:
    """End the parent run with its summary as metrics; left to another living process that trains the same sweep."""
    mlflow = client(store.uri)
    if _is_anothers(mlflow.get_run(run_id)):
        return
    for key, value in summary.items():
        step = len(mlflow.get_metric_history(run_id, key))  # MLflow shows the last step, not what was written last
        mlflow.log_metric(run_id, key, value, step=step)
    mlflow.set_terminated(run_id, status)


def _is_anothers(run: Any) -> bool:
    owner = run.data.tags.get(names.PROCESS, "")
    return run.info.status == "RUNNING" and owner != this_process() and is_alive(owner)
