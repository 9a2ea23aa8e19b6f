"""Train networks and track them: `python -m initdist.train -m model.width=64,256,1024`.

One call trains one job: the networks that a composed config describes, as stacks. The sweeper in `hydra_plugins`
calls it once for each tensor shape of a multirun.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
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
    """Train those of these networks that the sweep still lacks, and write each one's run as it ends."""
    from initdist import records, tracking
    from initdist.events import Failed, Result, Started
    from initdist.progress import Display

    todo = [network for network in networks if network.identity in sweep.todo]
    if not todo:
        return
    configs = [network.config for network in todo]
    training = pool.shared(configs[0].device, configs[0].workers)
    title = records.title(configs[0], job)
    with (
        tempfile.TemporaryDirectory(prefix="initdist-") as staging,
        tracking.Writer(sweep.store, sweep.run_id, sweep.id) as writer,
        Display(title, configs) as display,
    ):
        files = records.weight_files(todo, Path(staging))
        for event in training.train(configs, files):
            display.show(event)
            match event:
                case Started():
                    for i in event.networks:
                        writer.start(i, records.network(todo[i]))
                case Result():
                    writer.finish(event.network, records.outcome(event, files))
                case Failed():
                    for i in event.networks:
                        writer.fail(i, event.error)
                    print(f"{title}: {len(event.networks)} networks failed: {event.error}", file=sys.stderr)


if __name__ == "__main__":
    main()
