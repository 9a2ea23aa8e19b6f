"""Train networks and track them: `python -m initdist.train -m model.width=64,256,1024`.

One call trains one job: the networks that a composed config describes, as stacks. The sweeper in `hydra_plugins`
calls it once for each tensor shape of a multirun.
"""

from __future__ import annotations

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

from initdist import __version__, compose, pool
from initdist.errors import UserError
from initdist.paths import conf_dir

if TYPE_CHECKING:
    from initdist.plan import Network
    from initdist.sweep import Sweep
    from initdist.tracking import Writer

compose.register()


class Refused(CompactHydraException):
    """A mistake that the user can mend: Hydra prints its text without a traceback."""


def main() -> None:
    """Console entry."""
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {__version__}")
    else:
        _main()


@hydra.main(config_path=conf_dir(), config_name="config", version_base="1.3")
def _main(cfg: DictConfig) -> None:
    from initdist.tracking import TrackingError

    try:
        run(cfg)
    except (UserError, TrackingError) as error:
        raise Refused(f"initdist: {error}") from None


def run(cfg: DictConfig) -> None:
    """Train the networks of one composed config and track them: as a job of a multirun, or on its own."""
    from initdist import jobs, plan, sweep

    given = HydraConfig.get().overrides.task
    jobs.refuse_set_and_varied({entry.split("=", 1)[0].lstrip("+"): entry for entry in given})
    if not cfg.dry_run:
        pool.warm()
    networks = plan.networks(cfg)
    settings = networks[0].config.tracking
    if cfg.dry_run:
        print(sweep.dry_run(networks, settings, cfg.workers))
    elif HydraConfig.get().mode == RunMode.MULTIRUN:
        sweep.exit_on_sigterm()
        train(networks, sweep.join(Path(HydraConfig.get().sweep.dir), settings), HydraConfig.get().job.num)
    else:
        with sweep.session(networks, settings, cfg.resume) as opened:
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
        claims.held(base, [network.identity for network in todo]) as mine,
        tracking.Writer(sweep.store, sweep.run_id, sweep.id, patience) as writer,
    ):
        if sweep.resume:  # another command may have finished some since
            mine -= tracking.finished(sweep.store, since_ms=sweep.opened_ms).keys()
        rest = []
        for network in (network for network in todo if network.identity in mine):
            folder = base / network.identity
            if not sweep.resume:
                unwritten.discard(folder)
            if outcome := unwritten.find(folder):
                writer.start(network.identity, records.network(network))
                writer.finish(network.identity, outcome, partial(unwritten.forget, folder))
            else:
                rest.append(network)
        if rest:
            _train(rest, base, writer, records.title(rest[0].config, job))


def _train(todo: Sequence[Network], base: Path, writer: Writer, title: str) -> None:
    from initdist import records, unwritten
    from initdist.events import Failed, Result, Started
    from initdist.progress import Display

    configs = [network.config for network in todo]
    files = records.weight_files(todo, base)
    training = pool.shared(configs[0].device, configs[0].workers)
    with Display(title, configs) as display:
        for event in training.train(configs, files, records.checkpoints(todo, base)):
            display.show(event)
            match event:
                case Started():
                    for i in event.networks:
                        writer.start(todo[i].identity, records.network(todo[i]))
                case Result():
                    network, outcome = todo[event.network], records.outcome(event, files)
                    folder = base / network.identity
                    unwritten.keep(folder, outcome)
                    writer.finish(network.identity, outcome, partial(unwritten.forget, folder))
                case Failed():
                    for i in event.networks:
                        writer.fail(todo[i].identity, event.error)
                    print(f"{title}: {len(event.networks)} networks failed: {event.error}", file=sys.stderr)


if __name__ == "__main__":
    main()
