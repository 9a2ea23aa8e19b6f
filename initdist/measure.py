"""Measure networks that were trained earlier: `python -m initdist.measure measures=pacbayes,ntk`.

Computes what their runs lack from their weights, and adds it to them. It can be stopped and repeated at any time.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from initdist import cores, names, provenance, records, remeasure, tracking
from initdist.cli import measure_config, messages, signals
from initdist.cli.measure_config import MeasureConfig
from initdist.cli.overrides import in_full
from initdist.counts import Measurements
from initdist.errors import UserError
from initdist.events import Event, Failed, Measured, MeasureTask, Refused
from initdist.paths import conf_dir
from initdist.progress import Display
from initdist.remeasure import Found, Todo
from initdist.workers import pool

measure_config.register()


def main() -> None:
    """Console entry."""
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {provenance.VERSION}")
        return
    sys.argv[1:] = [in_full(argument) for argument in sys.argv[1:]]
    with messages.in_one_line("initdist", partial(messages.keys, MeasureConfig)):
        _main()


@hydra.main(config_path=conf_dir(), config_name="measure", version_base="1.3")
def _main(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        sys.exit("initdist: --multirun has no meaning here: one command measures networks of all shapes")
    try:
        run(measure_config.resolved(cfg))
    except (UserError, tracking.TrackingError) as error:
        sys.exit(f"initdist: {error}")


def run(settings: MeasureConfig) -> None:
    """The command: find, measure, write, and a closing line. Ends the process with 1 if a network failed, with 130 or
    143 after Ctrl-C or SIGTERM."""
    store = tracking.existing(settings.tracking.uri, settings.tracking.experiment)
    if settings.dry_run:
        print(remeasure.describe(store, remeasure.find(store, settings), settings.workers or cores.usable()))
        return
    started = time.monotonic()
    pool.warm()
    found = remeasure.find(store, settings)
    if found.todo:
        print(remeasure.announce(found), flush=True)
    counts = Measurements(found.total, found.complete, refused=len(found.refused))
    signals.heed()
    try:
        measure(store, found, settings, counts)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        print(counts.sentence(time.monotonic() - started), flush=True)
    if counts.failed:
        raise SystemExit(1)


def measure(store: tracking.Store, found: Found, settings: MeasureConfig, counts: Measurements) -> None:
    """Measure what is to be measured, and write each network's values as soon as they are there."""
    for name, reason in found.refused.items():
        _say(f"{name} is refused: {reason}")
    if not found.todo:
        return
    again = "The same command goes on where it stopped, once the store can be written to"
    title = f"measures of {store.experiment}"
    with (
        tempfile.TemporaryDirectory(prefix="initdist-") as folder,
        tracking.Writer(store, None, None, settings.tracking.patience, remedy=again) as writer,
        Display(title, [one.network.config for one in found.todo], doing="measuring") as display,
    ):
        processes = pool.shared(settings.device, settings.workers)
        stacks, impossible = remeasure.stacks(found.todo, processes.parts)
        for i, reason in impossible.items():
            counts.refused += 1
            _say(f"{found.todo[i].label} is refused: {reason}")
        tasks = _tasks(store, found.todo, stacks, Path(folder), counts, display.show)
        for event in processes.work(tasks, len(stacks)):
            display.show(event)
            for i in _take(event, found.todo, writer, counts):
                shutil.rmtree(Path(folder, found.todo[i].run.info.run_id), ignore_errors=True)


def _tasks(
    store: tracking.Store,
    todo: list[Todo],
    stacks: list[tuple[int, ...]],
    folder: Path,
    counts: Measurements,
    show: Callable[[Event], None],
) -> Iterator[MeasureTask]:
    """The stacks with the files of their weights, fetched as they are needed."""
    for part in stacks:
        files: dict[int, str] = {}
        for i in part:
            try:
                file = tracking.artifact(store, todo[i].run, names.WEIGHTS_FILE, folder / todo[i].run.info.run_id)
            except Exception as error:  # an artifact store may raise anything
                counts.failed += 1
                show(Failed((i,), str(error)))
                _say(f"{todo[i].label} failed: its weights cannot be fetched: {error}")
                continue
            if file is None:
                counts.without += 1
                show(Refused(i, "no weights"))
                _say(f"{todo[i].label} lacks weights: it was trained with tracking.save_weights=false")
            else:
                files[i] = str(file)
        if files:
            yield MeasureTask(
                tuple(files),
                tuple(todo[i].network.config for i in files),
                tuple(files.values()),
                tuple(todo[i].run.data.tags[names.THETA0] for i in files),
                tuple(_crossings(todo[i].run) for i in files),
            )


def _take(event: Event, todo: list[Todo], writer: tracking.Writer, counts: Measurements) -> tuple[int, ...]:
    """Keep what an event says; gives the networks that it was the last one of."""
    match event:
        case Measured():
            one, found = todo[event.network].run, event.measurement
            outcome = tracking.Outcome(found.metrics, [], _step(one), records.measure_tags(found))
            writer.amend(one.info.run_id, outcome, (names.MEASURES, names.MEASURE_SECONDS), counts.written)
            return (event.network,)
        case Refused():
            counts.refused += 1
            _say(f"{todo[event.network].label} is refused: {event.reason}")
            return (event.network,)
        case Failed():
            counts.failed += len(event.networks)
            _say(f"{', '.join(todo[i].label for i in event.networks)} failed: {event.error}")
            return event.networks
    return ()


def _crossings(run: Any) -> dict[str, float]:
    """After how many steps a run's training loss crossed which levels: only its training knows."""
    return {key: value for key, value in run.data.metrics.items() if key.startswith(names.STEPS_AT_LOSS)}


def _step(run: object) -> int:
    """The step of a run's final metrics."""
    return int(run.data.metrics[names.STEPS])  # type: ignore[attr-defined]


def _say(text: str) -> None:
    print(f"initdist: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
