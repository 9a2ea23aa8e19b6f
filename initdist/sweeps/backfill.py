"""Measure networks that were trained earlier, from their weights, and add the values to their runs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from initdist import names, tracking
from initdist.cli.measure_config import MeasureConfig
from initdist.events import Event, Failed, Measured, MeasureTask, Refused
from initdist.sweeps import lacking, run_records
from initdist.sweeps.lacking import Found, Todo
from initdist.sweeps.progress import Display
from initdist.sweeps.summary import Measurements
from initdist.workers import pool


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
        stacks, impossible = lacking.stacks(found.todo, processes.parts)
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
            outcome = tracking.Outcome(found.metrics, [], _step(one), run_records.measure_tags(found))
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
