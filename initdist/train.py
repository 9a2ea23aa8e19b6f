"""Train networks and track them: `python -m initdist.train -m model.width=64,256,1024`.

One call trains one job: the networks that a composed config describes, as stacks. The sweeper in `hydra_plugins`
calls it once for each tensor shape of a multirun. A job of any other sweeper is a sweep of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initdist import provenance, retry, surroundings
from initdist.cli import arguments, compose, messages, signals
from initdist.cli.called import where_called
from initdist.errors import ConfigError, UserError
from initdist.paths import conf_dir
from initdist.workers import launching

compose.register()


class RefusedJob(CompactHydraException):
    """A mistake that the user can mend, as the outcome of a job of a multirun."""


def main() -> None:
    """Console entry."""
    surroundings.settle()
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {provenance.VERSION}")
    else:
        arguments.hide(arguments.override)
        try:
            with signals.heeded(), messages.in_one_line(compose.keys):
                _main()
        except KeyboardInterrupt:  # before there was a sweep to end
            sys.exit(130)


@hydra.main(config_path=conf_dir(), config_name="config", version_base="1.3")
def _main(cfg: DictConfig) -> float | None:
    from initdist.tracking import TrackingError

    try:
        with retry.full_disk_named(), where_called():
            return run(cfg)
    except (UserError, TrackingError, OmegaConfBaseException) as error:
        if isinstance(error, OmegaConfBaseException):
            error = ConfigError(messages.explained(error, compose.keys))
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise RefusedJob(f"initdist: {error}") from None
        sys.exit(f"initdist: {error}")


def run(cfg: DictConfig) -> float | None:
    """Train the networks of one composed config and track them: as a job of our sweeper, or on its own.

    Gives another sweeper the job's objective, by which it may search.
    """
    with signals.heeded():  # maybe in a launcher's own process
        return _run(cfg)


def _run(cfg: DictConfig) -> float | None:
    from initdist.sweeps import hosts, objective, planning, run_records, session, tracked_training

    multirun = HydraConfig.get().mode == RunMode.MULTIRUN
    if multirun:
        surroundings.settle_streams()
    given = HydraConfig.get().overrides.task
    planning.refuse_set_and_varied({entry.split("=", 1)[0].lstrip("+"): entry for entry in given})
    if not multirun and not cfg.dry_run:
        launching.warm()
    networks = planning.networks(cfg)
    settings = networks[0].config.tracking
    if cfg.dry_run:
        print(session.dry_run(networks, settings, cfg.workers))
    elif multirun and settings.sweep and not _is_rerun():
        sweep = session.join(Path(HydraConfig.get().sweep.dir), settings)
        with hosts.alone(sweep.store.uri):
            tracked_training.train(networks, sweep, HydraConfig.get().job.num)
    else:
        try:
            with session.running(networks, settings, cfg.resume) as opened:
                log = f"{run_records.title(networks[0].config)}: {planning.log(HydraConfig.get())}"
                opened.logs.update((network.identity, log) for network in networks)
                tracked_training.train(networks, opened)
                return objective.mean(opened.store, networks) if multirun else None
        except SystemExit as left:
            if left.code == 1 and multirun:  # this job failed, and what to do with the others is the sweeper's to say
                raise RefusedJob("initdist: not all networks of the job have finished") from None
            raise
    return None


def _is_rerun() -> bool:
    """Of the config that Hydra's PickleJobInfoCallback kept of a job, whose sweep has ended."""
    return any(argument.startswith("--experimental") for argument in sys.argv[1:])


if __name__ == "__main__":
    main()
