"""Measure networks that were trained earlier: `python -m initdist.measure measures=pacbayes,ntk`.

Computes what their runs lack from their weights, and adds it to them. It can be stopped and repeated at any time.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from initdist import cores, provenance, surroundings, tracking
from initdist.cli import arguments, measure_config, messages, signals
from initdist.cli.called import where_called
from initdist.cli.measure_config import MeasureConfig
from initdist.cli.overrides import in_full
from initdist.errors import UserError
from initdist.paths import conf_dir
from initdist.sweeps import backfill, hosts, lacking
from initdist.sweeps.summary import Measurements
from initdist.workers import launching

measure_config.register()


def main() -> None:
    """Console entry."""
    surroundings.settle()
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {provenance.VERSION}")
        return
    arguments.hide(arguments.override)
    sys.argv[1:] = [in_full(argument) for argument in sys.argv[1:]]
    with messages.in_one_line(partial(messages.keys, MeasureConfig)):
        _main()


@hydra.main(config_path=conf_dir(), config_name="measure", version_base="1.3")
def _main(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        sys.exit("initdist: --multirun has no meaning here: one command measures networks of all shapes")
    try:
        with where_called():
            settings = measure_config.resolved(cfg)
            with hosts.alone(settings.tracking.uri):
                run(settings)
    except (UserError, tracking.TrackingError) as error:
        sys.exit(f"initdist: {error}")


def run(settings: MeasureConfig) -> None:
    """The command: find, measure, write, and a closing line. Ends the process with 1 if a network failed, with 130 or
    143 after Ctrl-C or SIGTERM."""
    store = tracking.existing(settings.tracking.uri, settings.tracking.experiment)
    if settings.dry_run:
        print(lacking.describe(store, lacking.find(store, settings), settings.workers or cores.usable()))
        return
    started = time.monotonic()
    launching.warm()
    found = lacking.find(store, settings)
    if found.todo:
        print(lacking.announce(found), flush=True)
    counts = Measurements(found.total, found.complete, refused=len(found.refused))
    signals.heed()
    try:
        backfill.measure(store, found, settings, counts)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        print(counts.sentence(time.monotonic() - started), flush=True)
    if counts.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
