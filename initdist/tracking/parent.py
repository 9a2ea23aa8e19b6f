"""The parent run of a sweep: one, however many commands open the sweep at the same time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from initdist import names
from initdist.secrets import cause, masked
from initdist.tracking import artifacts
from initdist.tracking.process import lives, this_process
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.runs import parents, run_tags
from initdist.tracking.store import client

CANDIDATE = "initdist.candidate"  # tag of a parent run that is not the sweep's yet
PAUSE, SETTLED = 0.1, 30.0  # seconds between looks, and for other candidates to go


def open_sweep(
    store: Store, sweep: str, name: str, networks: Sequence[Mapping[str, str]], command: str | None = None
) -> str:
    """Find or create the sweep's parent run, RUNNING, with the list of its networks; returns its run id.

    Where the same sweep runs in another living process, the run stays that one's.
    """
    tags = run_tags(names.KIND_SWEEP, sweep) | {names.NOTE: _note(len(networks), sweep, command)}
    if command is not None:
        tags["initdist.command"] = masked(command)
    mlflow = client(store.uri)
    run, is_new = _only(store, sweep, name, tags)
    if not is_new and _is_anothers(run):
        return run.info.run_id
    if is_new:
        listed = {"sweep": sweep, "networks": [dict(network) for network in networks]}
        try:
            artifacts.put_json(run.info.artifact_uri, store.uri, listed, names.NETWORKS_FILE)
        except OSError as error:
            _withdraw(mlflow, run.info.run_id)
            raise TrackingError(
                f"tracking.experiment must keep its files where they can be written, got {store.experiment!r}: {error}"
            ) from cause(error)
    if not is_new:
        del tags[names.NOTE]  # it may say by now what an analysis found
        for key, value in tags.items():  # the owner first: a run of a dead one may be closed at any time
            mlflow.set_tag(run.info.run_id, key, value)
        mlflow.update_run(run.info.run_id, status="RUNNING")
    return run.info.run_id


def _note(networks: int, sweep: str, command: str | None) -> str:
    """The run's description, until an analysis has one."""
    what = f"{networks} networks of one command, each a run below this one."
    how = f"\n\n```\n{masked(command)}\n```" if command else ""
    return f"{what}{how}\n\nTo judge them: `python -m multirun_analysis sweep={sweep}`. What it finds will stand here."


def close_sweep(store: Store, run_id: str, status: str, summary: Mapping[str, float]) -> None:
    """End the parent run with its summary as metrics; left to another living process that trains the same sweep."""
    mlflow = client(store.uri)
    if _is_anothers(mlflow.get_run(run_id)):
        return
    for key, value in summary.items():
        step = len(mlflow.get_metric_history(run_id, key))  # MLflow shows the last step, not what was written last
        if value or step:  # a count that has always been 0 would be a chart of nothing
            mlflow.log_metric(run_id, key, value, step=step)
    mlflow.set_terminated(run_id, status)


def _only(store: Store, sweep: str, name: str, tags: Mapping[str, str]) -> tuple[Any, bool]:
    """The sweep's one parent run, and whether this command has made it.

    No lock is one for all commands that share a server. So a new run is a candidate first. A command that sees no
    other parent makes its candidate the parent. Of several candidates the one with the smallest id waits for the others
    to go, and they wait for it: each may have looked before the other was there.
    """
    mlflow, own, deadline = client(store.uri), "", time.monotonic() + SETTLED
    while True:
        found = list(parents(store, sweep))
        candidates = {run.info.run_id: run for run in found if CANDIDATE in run.data.tags}
        chosen = [run for run in found if run.info.run_id not in candidates]
        if own and (chosen or min(candidates, default=own) < own):
            _withdraw(mlflow, own)
            own = ""
        if chosen:
            return chosen[0], False
        late = time.monotonic() > deadline
        if own and (late or list(candidates) == [own]):
            mlflow.delete_tag(own, CANDIDATE)
            return candidates.get(own) or mlflow.get_run(own), True
        if not found:
            own = mlflow.create_run(store.experiment_id, tags={**tags, CANDIDATE: "true"}, run_name=name).info.run_id
            continue
        for run_id, run in candidates.items():  # of commands that ended in between
            if run_id != own and (late or lives(run.data.tags.get(names.PROCESS, "")) is False):
                _withdraw(mlflow, run_id)
        time.sleep(PAUSE)


def _withdraw(mlflow: Any, run_id: str) -> None:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):  # another was quicker, or this user may write but not delete
        mlflow.set_tag(run_id, names.KIND, "withdrawn")
        mlflow.delete_run(run_id)


def _is_anothers(run: Any) -> bool:
    owner = run.data.tags.get(names.PROCESS, "")
    return run.info.status == "RUNNING" and owner != this_process() and lives(owner) is True
