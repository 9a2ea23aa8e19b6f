"""Train networks and track them: `python -m initdist.train -m model.width=64,256,1024`.

One call trains one job: the networks that a composed config describes, as stacks. The sweeper in `hydra_plugins`
calls it once for each tensor shape of a multirun.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initdist import provenance, retry
from initdist.cli import compose, messages, signals
from initdist.errors import ConfigError, UserError
from initdist.paths import conf_dir
from initdist.workers import pool

if TYPE_CHECKING:
    from initdist.claims import Held
    from initdist.plan import Network
    from initdist.sweep import Sweep
    from initdist.tracking import Writer

compose.register()
_log = logging.getLogger(__name__)


class Refused(CompactHydraException):
    """A mistake that the user can mend, as the outcome of a job of a multirun."""


def main() -> None:
    """Console entry."""
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {provenance.VERSION}")
    else:
        signals.heed()
        try:
            with messages.in_one_line("initdist", compose.keys):
                _main()
        except KeyboardInterrupt:  # before there was a sweep to end
            sys.exit(130)


@hydra.main(config_path=conf_dir(), config_name="config", version_base="1.3")
def _main(cfg: DictConfig) -> None:
    from initdist.tracking import TrackingError

    try:
        with retry.full_disk_named():
            run(cfg)
    except (UserError, TrackingError, OmegaConfBaseException) as error:
        if isinstance(error, OmegaConfBaseException):
            error = ConfigError(messages.explained(error, compose.keys))
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise Refused(f"initdist: {error}") from None
        sys.exit(f"initdist: {error}")


def run(cfg: DictConfig) -> None:
    """Train the networks of one composed config and track them: as a job of a multirun, or on its own."""
    from initdist import jobs, plan, records, sweep

    given = HydraConfig.get().overrides.task
    jobs.refuse_set_and_varied({entry.split("=", 1)[0].lstrip("+"): entry for entry in given})
    if not cfg.dry_run:
        pool.warm()
    networks = plan.networks(cfg)
    settings = networks[0].config.tracking
    if cfg.dry_run:
        print(sweep.dry_run(networks, settings, cfg.workers))
    elif HydraConfig.get().mode == RunMode.MULTIRUN:
        signals.heed()  # of a launcher's own process
        train(networks, sweep.join(Path(HydraConfig.get().sweep.dir), settings), HydraConfig.get().job.num)
    else:
        with sweep.session(networks, settings, cfg.resume) as opened:
            log = f"{records.title(networks[0].config)}: {jobs.log(HydraConfig.get())}"
            opened.logs.update((network.identity, log) for network in networks)
            train(networks, opened)


def train(networks: Sequence[Network], sweep: Sweep, job: int | None = None) -> None:
    """Train those of these networks that the sweep still lacks, and write each one's run as it ends.

    An outcome is on disk before the store has it: what was trained is never trained again.
    """
    from initdist import claims, records, tracking, unwritten

    todo = [network for network in networks if network.identity in sweep.todo]
    if not todo:
        return
    base = records.folder(todo[0].config.checkpoint.dir, sweep.store)
    patience = todo[0].config.tracking.patience
    with (
        claims.held(base, [network.identity for network in todo], sweep.command) as held,
        tracking.Writer(sweep.store, sweep.run_id, sweep.id, patience, sweep.opened_ms) as writer,
    ):
        mine = held.mine
        if sweep.resume:
            mine -= tracking.asked(sweep.store, lambda: _finished_since(sweep, held), patience)
        rest = []
        for network in (network for network in todo if network.identity in mine):
            folder = base / network.identity
            if not sweep.resume:
                unwritten.forget(folder)
            if outcome := unwritten.find(folder):
                writer.start(network.identity, records.network(network))
                writer.finish(network.identity, outcome, partial(unwritten.forget, folder))
            else:
                rest.append(network)
        if rest:
            _train(rest, base, writer, records.title(rest[0].config, job))


def _finished_since(sweep: Sweep, held: Held) -> set[str]:
    """What another command has finished since this one began.

    Of one in this folder that is exact; of one elsewhere it depends on both clocks.
    """
    from initdist import tracking

    found = tracking.finished(sweep.store, since_ms=sweep.opened_ms).keys()
    return found | (tracking.finished_among(sweep.store, sorted(held.mine - found)).keys() if held.others else set())


def _train(todo: Sequence[Network], base: Path, writer: Writer, title: str) -> None:
    from initdist import records, unwritten
    from initdist.events import Failed, Result, Started
    from initdist.progress import Display

    configs, data = [network.config for network in todo], todo[0].data
    files = records.weight_files(todo, base)
    training = pool.shared(configs[0].device, configs[0].workers)
    with Display(title, configs) as display:
        for event in training.train(configs, files, records.checkpoints(todo, base), data.fingerprint):
            display.show(event)
            match event:
                case Started():
                    for i in event.networks:
                        writer.start(todo[i].identity, records.network(todo[i]))
                case Result():
                    network, outcome = todo[event.network], records.outcome(event, files)
                    folder = base / network.identity
                    keep = partial(unwritten.keep, folder, outcome)
                    retry.stored(keep, configs[0].tracking.patience, folder)
                    writer.finish(network.identity, outcome, partial(unwritten.forget, folder))
                case Failed():
                    for i in event.networks:
                        writer.fail(todo[i].identity, event.error)
                    plural = "" if len(event.networks) == 1 else "s"
                    _log.error("%s: %d network%s failed: %s", title, len(event.networks), plural, event.error)


if __name__ == "__main__":
    main()
