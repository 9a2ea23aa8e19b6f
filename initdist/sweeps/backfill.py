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
from initdist.events import Event, Failed, Measured, MeasureTask, Refused, ToMeasure
from initdist.secrets import masked
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
    todo = {one.network.identity: one for one in found.todo}
    configs = {identity: one.network.config for identity, one in todo.items()}
    with (
        tempfile.TemporaryDirectory(prefix="initdist-") as folder,
        tracking.Writer(store, None, None, settings.tracking.patience, remedy=again) as writer,
        Display(f"measures of {store.experiment}", configs, doing="measuring") as display,
    ):
        processes = pool.shared(settings.device, settings.workers)
        stacks, impossible = lacking.stacks(found.todo, processes.parts)
        for one, reason in impossible:
            counts.refused += 1
            _say(f"{one.label} is refused: {reason}")
        tasks = _tasks(store, stacks, Path(folder), counts, display.show)
        for event in processes.work(tasks, len(stacks)):
            display.show(event)
            for identity in _take(event, todo, writer, counts):
                shutil.rmtree(Path(folder, identity), ignore_errors=True)


def _tasks(
    store: tracking.Store,
    stacks: list[list[Todo]],
    folder: Path,
    counts: Measurements,
    show: Callable[[Event], None],
) -> Iterator[MeasureTask]:
    """The stacks with the files of their weights, fetched as they are needed."""
    for stack in stacks:
        networks = []
        for one in stack:
            run, identity = one.run, one.network.identity
            try:
                file = tracking.artifact(store, run, names.WEIGHTS_FILE, folder / identity)
            except Exception as error:  # an artifact store may raise anything
                counts.failed += 1
                why = masked(error)
                show(Failed((identity,), why))
                _say(f"{one.label} failed: its weights cannot be fetched: {why}")
                continue
            if file is None:
                counts.without += 1
                show(Refused(identity, "no weights"))
                _say(f"{one.label} lacks weights: {tracking.why_no_weights(store, run)}")
            else:
                theta0 = run.data.tags[names.THETA0]
                networks.append(ToMeasure(identity, one.network.config, str(file), theta0, _crossings(run)))
        if networks:
            yield MeasureTask(tuple(networks))


def _take(event: Event, todo: dict[str, Todo], writer: tracking.Writer, counts: Measurements) -> tuple[str, ...]:
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
            _say(f"{', '.join(todo[one].label for one in event.networks)} failed: {event.error}")
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
