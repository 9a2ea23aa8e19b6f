"""What each measure costs, and which way it goes with width, training size and label noise, from the runs of a store.

    python -m initdist.train -m dataset=mnist model.width=64,256,1024 noise.level=0,0.5 \\
        dataset.train_size=1024,4096 'seed=range(0,5)'
    python -m initdist.measure measures=all
    python benchmarks/measures.py > benchmarks/MEASURES.md

Changes are between means over seeds, from the first to the last value of an axis with the other axes held.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from machine import described, machine

from initdist import catalogue, names, tracking
from initdist.paths import store_uri

AXES = {"width": "model.width", "n": "dataset.train_size", "noise": "noise.level"}
INFINITE = 1.7e308  # what MLflow makes of it

Cell = tuple[float, ...]  # values of the axes


def cells(runs: Sequence[Any]) -> dict[Cell, list[Any]]:
    found: dict[Cell, list[Any]] = {}
    for run in runs:
        found.setdefault(tuple(float(run.data.params[key]) for key in AXES.values()), []).append(run)
    return dict(sorted(found.items()))


def mean(runs: Sequence[Any], metric: str) -> float:
    """Mean over seeds; NaN where a run has no value, infinite where one is."""
    values = [run.data.metrics.get(metric, math.nan) for run in runs]
    return math.inf if any(value > INFINITE for value in values) else statistics.fmean(values)


def changes(grid: dict[Cell, list[Any]], metric: str, axis: int) -> Iterator[tuple[float, float]]:
    """The metric at the first and at the last value of an axis that has it, wherever the other axes are held."""
    lines: dict[Cell, list[float]] = {}
    for cell, runs in grid.items():  # sorted, so that an axis rises along each line
        if not math.isnan(value := mean(runs, metric)):
            lines.setdefault((*cell[:axis], *cell[axis + 1 :]), []).append(value)
    yield from ((values[0], values[-1]) for values in lines.values() if len(values) > 1)


def direction(pairs: Sequence[tuple[float, float]]) -> str:
    """`up x2.1`: all pairs rise, by a median factor of 2.1; `mixed, 4 of 6 up` where they do not agree."""
    known = [(a, b) for a, b in pairs if not (math.isinf(a) and math.isinf(b))]
    if not known:
        return "infinite" if any(math.isinf(a) for a, _ in pairs) else "-"
    up = sum(b > a for a, b in known)
    down = sum(b < a for a, b in known)
    if up == down == 0:
        return "same"
    finite = [(a, b) for a, b in known if math.isfinite(a) and math.isfinite(b)]
    ratio = statistics.median(b / a for a, b in finite) if finite and all(a > 0 and b > 0 for a, b in finite) else None
    size = f" x{ratio:.3g}" if ratio is not None else ""
    if up == len(known) or down == len(known):
        return ("up" if up else "down") + size
    return f"mixed, {up} of {len(known)} up{size}"


def seconds(run: Any) -> dict[str, float]:
    found: dict[str, float] = json.loads(run.data.tags.get(names.MEASURE_SECONDS, "{}"))
    return found


def metrics_of(measure: str, runs: Sequence[Any]) -> list[str]:
    """The total of a measure, or its layers where it has no total; empty where it is undefined."""
    known = {key for run in runs for key in run.data.metrics}
    total = names.measure(measure)
    return [total] if total in known else sorted(key for key in known if key.startswith(f"{total}/layer"))


def costs(grid: dict[Cell, list[Any]]) -> Iterator[str]:
    """A table of each group's time: milliseconds a network, and percent of its training, by width."""
    widths = sorted({cell[0] for cell in grid})
    groups = {name: one["group"] for name, one in catalogue.entries().items()}
    yield "| ms a network (percent of its training) | " + " | ".join(f"width {width:g}" for width in widths) + " |"
    yield "|---|" + "---:|" * len(widths)
    for group in (*names.MEASURE_GROUPS, names.ALL_MEASURES):
        row = []
        for width in widths:
            runs = [run for cell, members in grid.items() if cell[0] == width for run in members]
            each = [
                1e3 * math.fsum(value for name, value in seconds(run).items() if group in (groups.get(name), "all"))
                for run in runs
            ]
            trained = 1e3 * math.fsum(float(run.data.tags[names.TRAINING_SECONDS]) for run in runs)
            row.append(f"{statistics.fmean(each):.3g} ({math.fsum(each) / trained:.1%})")
        yield f"| {group} | " + " | ".join(row) + " |"


def directions(grid: dict[Cell, list[Any]]) -> Iterator[str]:
    runs = [run for members in grid.values() for run in members]
    yield "| measure | group | ms a network | " + " | ".join(f"with {axis}" for axis in AXES) + " |"
    yield "|---|---|---:|" + "---|" * len(AXES)
    rows = [(names.GAP, "", names.GAP), (names.GAP_NOISY, "", names.GAP_NOISY), (names.DISTANCE, "", names.DISTANCE)]
    undefined = []
    for name, one in catalogue.entries().items():
        found = metrics_of(name, runs)
        rows += [(metric.removeprefix(names.MEASURE), one["group"], metric) for metric in found]
        if not found:
            undefined.append(name)
    for shown, group, metric in rows:
        each = [seconds(run).get(shown.partition("/")[0]) for run in runs]
        took = [value for value in each if value is not None] if group else []
        cost = f"{1e3 * statistics.fmean(took):.3g}" if took else ""
        ways = [direction(list(changes(grid, metric, axis))) for axis in range(len(AXES))]
        yield f"| `{shown}` | {group} | {cost} | " + " | ".join(ways) + " |"
    if undefined:
        yield ""
        yield "Undefined for these networks: " + ", ".join(f"`{name}`" for name in undefined) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", default=store_uri())
    parser.add_argument("--experiment", default="initdist")
    chosen = parser.parse_args()
    store = tracking.existing(chosen.uri, chosen.experiment)
    grid = cells(list(tracking.runs_of(store, tracking.selectable(store))))
    counts = {axis: sorted({cell[k] for cell in grid}) for k, axis in enumerate(AXES)}
    about = ", ".join(f"{axis} {' '.join(f'{value:g}' for value in values)}" for axis, values in counts.items())
    runs = [run for members in grid.values() for run in members]
    print("# Measures: what they cost and which way they go\n")
    print("Written by `benchmarks/measures.py`, whose head has the commands.\n")
    print(f"{len(runs)} networks: {runs[0].data.params['dataset.name']}, {runs[0].data.params['model.name']}, {about},")
    print(f"{len(runs) // len(grid)} seeds; {described(machine('cpu'))}.\n")
    print("The time that measures share, for singular values or margins, is counted to the first of them.\n")
    print("\n".join(costs(grid)) + "\n")
    print(
        "A change is between means over seeds, from the first to the last value of an axis that is there, the others\n"
        "held: `up x2` where all rise, by a median factor of 2 (given where all values are positive).\n"
    )
    print("\n".join(directions(grid)))


if __name__ == "__main__":
    main()
