"""Train the networks of a job and write each one's run as it ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from initdist import retry, tracking
from initdist.events import Failed, Result, Started
from initdist.sweeps import leases, outbox, run_records, workspace
from initdist.sweeps.leases import Held
from initdist.sweeps.planning import Network
from initdist.sweeps.progress import Display
from initdist.sweeps.session import Sweep
from initdist.tracking import Writer
from initdist.workers import pool

_log = logging.getLogger("initdist.train")


def train(networks: Sequence[Network], sweep: Sweep, job: int | None = None) -> None:
    """Train those of these networks that the sweep still lacks, and write each one's run as it ends.

    An outcome is on disk before the store has it: what was trained is never trained again.
    """
    todo = [network for network in networks if network.identity in sweep.todo]
    if not todo:
        return
    base = workspace.folder(todo[0].config.checkpoint.dir, sweep.store)
    patience = todo[0].config.tracking.patience
    with (
        leases.held(base, [network.identity for network in todo], sweep.command) as held,
        tracking.Writer(sweep.store, sweep.run_id, sweep.id, patience, sweep.opened_ms) as writer,
    ):
        mine = held.mine
        if sweep.resume:
            mine -= tracking.asked(sweep.store, lambda: _finished_since(sweep, held), patience)
        rest = []
        for network in (network for network in todo if network.identity in mine):
            folder = base / network.identity
            if not sweep.resume:
                outbox.forget(folder)
            if outcome := outbox.find(folder):
                writer.start(network.identity, run_records.network(network))
                writer.finish(network.identity, outcome, partial(outbox.forget, folder))
            else:
                rest.append(network)
        if rest:
            _train(rest, base, writer, run_records.title(rest[0].config, job))


def _finished_since(sweep: Sweep, held: Held) -> set[str]:
    """What another command has finished since this one began.

    Of one in this folder that is exact; of one elsewhere it depends on both clocks.
    """
    found = tracking.finished(sweep.store, since_ms=sweep.opened_ms).keys()
    return found | (tracking.finished_among(sweep.store, sorted(held.mine - found)).keys() if held.others else set())


def _train(todo: Sequence[Network], base: Path, writer: Writer, title: str) -> None:
    configs, data = [network.config for network in todo], todo[0].data
    files = workspace.weight_files(todo, base)
    training = pool.shared(configs[0].device, configs[0].workers)
    with Display(title, configs) as display:
        for event in training.train(configs, files, workspace.checkpoints(todo, base), data.fingerprint):
            display.show(event)
            match event:
                case Started():
                    for i in event.networks:
                        writer.start(todo[i].identity, run_records.network(todo[i]))
                case Result():
                    network, outcome = todo[event.network], run_records.outcome(event, files)
                    folder = base / network.identity
                    keep = partial(outbox.keep, folder, outcome)
                    retry.stored(keep, configs[0].tracking.patience, folder)
                    writer.finish(network.identity, outcome, partial(outbox.forget, folder))
                case Failed():
                    for i in event.networks:
                        writer.fail(todo[i].identity, event.error)
                    plural = "" if len(event.networks) == 1 else "s"
                    _log.error("%s: %d network%s failed: %s", title, len(event.networks), plural, event.error)
