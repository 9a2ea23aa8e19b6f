"""`initdist-ls`: what a tracking store holds, as a table on the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from initdist import names, surroundings
from initdist.cli import messages as mistakes
from initdist.paths import conf_dir
from multirun_analysis import labels
from multirun_analysis.config import FOLDER, AnalysisConfig, register, unswept
from multirun_analysis.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

    from multirun_analysis.runs.read import Networks

MOST = 50  # rows that are printed; --all prints the others too
METRICS = (names.DISTANCE, names.TRAIN_ERROR, names.TEST_ERROR, names.GAP)


class Listing(NamedTuple):
    head: list[str]
    rows: list[list[str]]
    note: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Console entry."""
    surroundings.settle()
    parser = argparse.ArgumentParser(
        prog="initdist-ls",
        description="List what a tracking store holds.",
        epilog="Keys are those of the analysis: tracking.uri, tracking.experiment, sweep, and where.KEY for networks "
        "with these values: initdist-ls runs where.model.width=64,256 'where.noise.level=<0.5'",
    )
    parser.add_argument("what", nargs="?", choices=WHAT, default="experiments", help="default: %(default)s")
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="which store, experiment and networks")
    parser.add_argument("--all", action="store_true", help=f"more than {MOST} rows")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and "=" in given[0] and not given[0].startswith("-"):  # keys alone: the default is meant
        given.insert(0, "configurations")
    elif given and not given[0].startswith("-") and given[0] not in WHAT:
        wanted = f"tracking.experiment={given[0]}"
        parser.error(
            f"WHAT must be one of {', '.join(WHAT)}, got {given[0]!r}; of an experiment: configurations {wanted}"
        )
    chosen = parser.parse_args(given)
    try:
        with mistakes.in_one_line(partial(mistakes.keys, AnalysisConfig)):
            config = _config(chosen.keys)
            head, rows, note = WHAT[chosen.what](config)
    except AnalysisError as error:
        sys.exit(f"initdist: {error}")
    _print(head, rows if chosen.all else rows[:MOST])
    if len(rows) > MOST and not chosen.all:
        print(f"{len(rows) - MOST} more: --all shows them")
    if note:
        print(note)


def _config(overrides: Sequence[str]) -> AnalysisConfig:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    register()
    with initialize_config_dir(f"{conf_dir()}/{FOLDER}", version_base="1.3"):
        return cast(AnalysisConfig, OmegaConf.to_object(compose("analysis", overrides=unswept(overrides))))


def _experiments(config: AnalysisConfig) -> Listing:
    """Every experiment, with its finished networks and sweeps."""
    from multirun_analysis.runs.read import reading
    from multirun_analysis.runs.store import named

    rows = []
    with reading(named(config.tracking.uri)) as reader:
        for name in sorted(reader.experiment("").others):
            found = reader.experiment(name)
            listed = reader.rows(str(found.id), [names.KIND], lambda number: None)
            kinds = {run: value for run, key, value in listed.tags if key == names.KIND}
            networks = [run for run in listed.runs if kinds.get(run.run_id) == names.KIND_NETWORK]
            sweeps = sum(kind == names.KIND_SWEEP for kind in kinds.values())
            finished = sum(run.status == "FINISHED" for run in networks)
            rows.append([name, str(finished), str(len(networks) - finished), str(sweeps), _last(listed.runs)])
    return Listing(["experiment", "finished networks", "other networks", "sweeps", "last run"], rows)


def _last(runs: Sequence[object]) -> str:
    from datetime import datetime

    started = max((getattr(run, "start_time", 0) or 0 for run in runs), default=0)
    return datetime.fromtimestamp(started / 1000).strftime("%Y-%m-%d %H:%M") if started else "–"


def _sweeps(config: AnalysisConfig) -> Listing:
    """Every sweep, with what varies in it."""
    from multirun_analysis.runs.params import varied

    networks = _chosen(config)
    rows = []
    for sweep, frame in networks.frame.groupby("sweep", sort=False, dropna=True):
        axes = [labels.short(axis) for axis in varied(frame, networks.params)]
        rows.append([str(sweep), str(len(frame)), str(int((frame["excluded"] == "").sum())), ", ".join(axes) or "–"])
    return Listing(["sweep", "networks", "used by the analysis", "varies"], rows)


def _configurations(config: AnalysisConfig) -> Listing:
    """Every configuration: mean and spread over its seeds."""
    from multirun_analysis.runs.exclusions import counts
    from multirun_analysis.runs.params import varied

    networks = _chosen(config)
    used = networks.used
    axes = [axis for axis in varied(used, networks.params) if not axis.startswith("seed")]
    metrics = [metric for metric in METRICS if metric in used]
    groups = used.groupby(axes, dropna=False, sort=True) if axes else [((), used)]
    rows = []
    for values, frame in groups:
        values = values if isinstance(values, tuple) else (values,)
        rows.append([*map(labels.value, values), str(len(frame)), *(_spread(frame, metric) for metric in metrics)])
    head = [*map(labels.short, axes), "seeds", *map(labels.metric_head, metrics)]
    left = counts(networks)
    why = ", ".join(f"{number} {reason}" for reason, number in left.items())
    note = f"Left out of these means: {why} (initdist-ls runs names them)" if left else ""
    return Listing(head, rows, note)


def _spread(frame: pd.DataFrame, metric: str) -> str:
    values = frame[metric] * labels.metric_scale(metric)
    return f"{values.mean():.2f} ± {values.std():.2f}" if len(values) > 1 else f"{values.mean():.2f}"


def _runs(config: AnalysisConfig) -> Listing:
    """Every network's run."""
    networks = _chosen(config)
    frame = networks.frame
    metrics = [metric for metric in METRICS if metric in frame]
    shown = [[f"{item * labels.metric_scale(metric):.2f}" for item in frame[metric]] for metric in metrics]
    columns = [
        frame["run_name"].fillna("–"),
        frame["run_id"],
        *shown,
        frame["stop_reason"].fillna("–"),
        frame["excluded"],
    ]
    rows = [[str(cell) for cell in row] for row in zip(*columns, strict=True)]
    return Listing(["run", "id", *map(labels.metric_head, metrics), "stopped by", "left out"], rows)


def _chosen(config: AnalysisConfig) -> Networks:
    from multirun_analysis.runs.exclusions import default_target, exclude
    from multirun_analysis.runs.read import read_networks
    from multirun_analysis.runs.store import named
    from multirun_analysis.runs.where import flat, select

    if len(config.experiments) != 1:
        raise AnalysisError(f"tracking.experiment must name one experiment, got {', '.join(config.experiments)}")
    networks = read_networks(named(config.tracking.uri), config.experiments[0], config.sweep)
    networks = select(networks, flat(config.where))
    return exclude(networks, config.target or default_target(networks), asked=False)


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # whole lines for grep and awk
        console = Console(width=max(80, sum(max(map(len, column)) + 3 for column in zip(head, *rows, strict=True))))
    console.print(table)


WHAT = {
    "experiments": _experiments,
    "sweeps": _sweeps,
    "configurations": _configurations,
    "runs": _runs,
}

if __name__ == "__main__":
    main()
