"""Train networks and track them: `python -m initdist.train -m model.width=64,256,1024`.

One call trains one job: the networks that a composed config describes, as stacks. The sweeper in `hydra_plugins`
calls it once for each tensor shape of a multirun.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from initdist import compose, pool
from initdist.counts import Counts
from initdist.errors import UserError
from initdist.paths import conf_dir

compose.register()


class Refused(CompactHydraException):
    """A mistake that the user can mend: Hydra prints its text without a traceback."""


@hydra.main(config_path=conf_dir(), config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> dict[str, int]:
    """Hydra entry."""
    from initdist.tracking import TrackingError

    signal.signal(signal.SIGTERM, _terminate)
    try:
        return vars(run(cfg))
    except (UserError, TrackingError) as error:
        raise Refused(f"initdist: {error}") from None


def run(cfg: DictConfig) -> Counts:
    """Train the networks of one composed config and track them, alone or as a job of a sweep."""
    from initdist import jobs, plan, sweep

    jobs.refuse_set_and_varied(
        {entry.split("=", 1)[0].lstrip("+"): entry for entry in HydraConfig.get().overrides.task}
    )
    if not cfg.dry_run:
        pool.warm()
    networks = plan.networks(cfg)
    settings = networks[0].config.tracking
    if cfg.dry_run:
        print(sweep.dry_run(networks, settings))
        return Counts()
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        joined = sweep.join(Path(HydraConfig.get().sweep.dir), str(settings.sweep))
        return train(networks, joined, title=f"job {HydraConfig.get().job.num}")
    started, counts, status = time.monotonic(), Counts(failed=len(networks)), "FAILED"
    alone = sweep.begin(networks, settings, cfg.resume)
    try:
        counts = train(networks, alone, title=networks[0].name)
        status = "FAILED" if counts.failed else "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        alone.close(status, counts)
        print(counts.sentence(time.monotonic() - started))
    if counts.failed:
        raise SystemExit(1)
    return counts


def train(networks: Sequence[Any], sweep: Any, title: str) -> Counts:
    """Train those of these networks that the sweep still lacks, and write each one's run as it ends."""
    from initdist import records, tracking
    from initdist.events import Failed, Result, Started
    from initdist.progress import Display

    todo = [network for network in networks if network.identity in sweep.todo]
    counts = Counts(skipped=len(networks) - len(todo))
    if not todo:
        return counts
    config = todo[0].config
    training = pool.shared(config.device, config.workers)
    with (
        tempfile.TemporaryDirectory(prefix="initdist-") as staging,
        tracking.Writer(sweep.store, sweep.run_id, sweep.id) as writer,
        Display(title, [network.config for network in todo]) as display,
    ):
        files = [f"{staging}/{network.identity}/weights.safetensors" for network in todo]
        kept = files if config.tracking.save_weights else []
        for event in training.train([network.config for network in todo], kept):
            display.show(event)
            match event:
                case Started():
                    for i in event.networks:
                        writer.start(i, records.network(todo[i]))
                case Result():
                    writer.finish(event.network, records.outcome(event, [Path(f) for f in kept[event.network :][:1]]))
                    diverged = int(event.stop_reason == records.DIVERGED)
                    counts += Counts(finished=1, diverged=diverged)
                case Failed():
                    for i in event.networks:
                        writer.fail(i, event.error)
                    counts += Counts(failed=len(event.networks))
                    print(f"{title}: {len(event.networks)} networks failed: {event.error}", file=sys.stderr)
    return counts


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
