"""Train the networks of a job and write each one's run as it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from initdist import tracking
from initdist.events import Failed, Result, Started
from initdist.sweeps import run_records
from initdist.sweeps.planning import Network
from initdist.sweeps.progress import Display
from initdist.sweeps.session import Sweep
from initdist.sweeps.workspace import Workspace
from initdist.tracking import Writer
from initdist.workers import pool

_log = logging.getLogger("initdist.train")


def train(networks: Sequence[Network], sweep: Sweep, job: int | None = None) -> None:
    """Train those of these networks that the sweep still lacks, and write each one's run as it ends.

    An outcome is on disk before the store has it: what was trained is never trained again.
    """
    todo = {network.identity: network for network in networks if network.identity in sweep.todo}
    if not todo:
        return
    config = networks[0].config
    workspace, patience = Workspace.of(config.checkpoint.dir, sweep.store), config.tracking.patience
    earlier = sweep.jobs.earlier(job) if sweep.jobs and job is not None else []
    with (
        workspace.leases.held(todo, earlier) as (mine, gone),
        tracking.Writer(sweep.store, sweep.run_id, sweep.id, patience, sweep.opened_ms) as writer,
    ):
        if gone:
            tracking.asked(sweep.store, lambda: tracking.close_stale(sweep.store, gone), patience)
        if sweep.resume:  # what another command has finished since this one looked
            mine -= tracking.asked(sweep.store, lambda: tracking.finished_among(sweep.store, mine), patience).keys()
        elif earlier:  # the job was started again: only what is from before its command is to be done anew
            since = partial(tracking.finished, sweep.store, sweep.opened_ms, sweep.before)
            mine -= tracking.asked(sweep.store, since, patience).keys()
        else:
            for identity in mine:
                workspace.forget(identity)
        if sweep.jobs and job is not None:
            sweep.jobs.enter(job)
        rest = {}
        for identity, network in todo.items():
            if identity not in mine:
                continue
            if outcome := workspace.kept(identity):
                writer.start(identity, run_records.network(network, sweep.names.get(identity, "")))
                writer.finish(identity, outcome, partial(workspace.forget, identity))
            else:
                rest[identity] = network
        if rest:
            among = sweep.directory if sweep.jobs else ""
            whole = partial(sweep.outlook.describe, job) if sweep.outlook and job is not None else None
            _train(rest, workspace, writer, run_records.title(config, job), among, sweep.names, whole)


def _train(
    todo: dict[str, Network],
    workspace: Workspace,
    writer: Writer,
    title: str,
    among: str,
    named: Mapping[str, str],
    whole: Callable[[float], str] | None,
) -> None:
    configs = {identity: network.config for identity, network in todo.items()}
    asked = {identity: workspace.to_train(network) for identity, network in todo.items()}
    first = next(iter(todo.values()))
    settings = first.config
    training = pool.shared(settings.device, settings.workers, among)
    with Display(title, configs, whole=whole) as display:
        for event in training.train(list(asked.values()), first.data.fingerprint):
            display.show(event)
            match event:
                case Started():
                    for identity in event.networks:
                        writer.start(identity, run_records.network(todo[identity], named.get(identity, "")))
                case Result(network=identity):
                    try:
                        outcome = run_records.outcome(event, asked[identity].weights)
                        _hand_over(identity, outcome, workspace, writer, settings.tracking.patience)
                    except FileNotFoundError as error:  # removed with its folder, by one that took its lease over
                        writer.fail(identity, str(error))
                        _log.error("%s: 1 network failed: %s", title, error)
                case Failed():
                    for identity in event.networks:
                        writer.fail(identity, event.error)
                    plural = "" if len(event.networks) == 1 else "s"
                    _log.error("%s: %d network%s failed: %s", title, len(event.networks), plural, event.error)


def _hand_over(identity: str, outcome: tracking.Outcome, workspace: Workspace, writer: Writer, patience: float) -> None:
    """Keep and write an outcome. Where this process stood still for so long that its lease expired, and another goes on
    with the network, it is only kept: that one writes its own."""
    other = workspace.leases.elsewhere([identity])
    if not other:
        workspace.keep(identity, outcome, patience)
        writer.finish(identity, outcome, partial(workspace.forget, identity))
        return
    lost = f"its lease expired, and is that of {other[identity]}"
    _log.warning("network %s is left to another command: %s", identity[:12], lost)
    if not tracking.asked(writer.store, lambda: tracking.finished_among(writer.store, [identity]), patience):
        workspace.keep(identity, outcome, patience)
    writer.fail(identity, lost)
