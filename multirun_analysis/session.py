"""One analysis from the store to the files: the composition of query, statistics, figures and report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from initdist import names
from initdist.secrets import masked
from initdist.tracking import close_connections
from multirun_analysis import uptodate
from multirun_analysis.config import AnalysisConfig, command, ui_url
from multirun_analysis.errors import AnalysisError
from multirun_analysis.labels import HISTORIES
from multirun_analysis.runs.read import Networks, Source, folder_of, networks_of, quiet, read_histories, read_records
from multirun_analysis.runs.records import Records, Tell
from multirun_analysis.runs.store import named, one_line, open_client
from multirun_analysis.runs.where import flat, require_known, select
from multirun_analysis.second import Second

if TYPE_CHECKING:
    import pandas as pd

    from multirun_analysis.report import Material, Report

ARTIFACTS = "analysis"  # folder of the files among the sweep's artifacts
CURRENT = "Nothing has changed since this report was written (refresh=true writes it anew)"


@dataclass(frozen=True)
class Outcome:
    """lines: what to tell the user. report: None where the one in `out` was current."""

    report: Report | None
    files: list[Path]
    lines: list[str]


def analyze(config: AnalysisConfig, directory: str | Path, tell: Tell = quiet) -> Outcome:
    """directory: where relative paths and the default store lie. Raises AnalysisError."""
    uri = named(config.tracking.uri, directory)
    out = Path(directory) / config.folder
    before = uptodate.load(out)
    manifest = None if config.refresh else before
    with closing(Second()) as helper:
        if manifest is None:  # there is no report that could still be current
            helper.start()
        records = {name: read_records(uri, name, tell) for name in config.experiments}
        settings = {"command": command(config, uri), "uri": masked(uri), "ui_url": ui_url(config, uri)}
        key = uptodate.key(settings, [found.digest() for found in records.values()])
        if manifest is not None and _current(manifest, key, uri, out):
            files = [out / name for name in manifest.files]
            return Outcome(None, files, [*manifest.lines, CURRENT, f"Report: {out / 'report.html'}"])
        helper.start()
        return _anew(config, uri, records, out, () if before is None else tuple(before.files), key, tell, helper)


def _anew(
    config: AnalysisConfig,
    uri: str,
    records: dict[str, Records],
    out: Path,
    own: Sequence[str],
    key: str,
    tell: Tell,
    helper: Second,
) -> Outcome:
    """own: names of the files of an earlier analysis in `out`."""
    from multirun_analysis import report
    from multirun_analysis.figures import league

    chosen = [_networks(config, uri, name, found) for name, found in records.items()]
    sources = [networks.source for networks in chosen]
    unlogged = _unlogged(sources, uri)
    if not unlogged and folder_of(uri, sources[0].parent_files) is None:
        helper.submit(_opened, uri)
    report.prepare(out, own)
    parts, histories = [], []
    for place, networks in enumerate(chosen):
        folder = report.folder_of(networks.source.experiment, place, len(chosen) > 1)
        part, read = _part(config, uri, networks, folder, tell, helper)
        parts.append(part)
        histories.append(read)
    whole = report.Report(parts, command(config, uri), ui_url(config, uri), flat(config.where))
    if len(parts) > 1:
        (comparison,) = report.render([partial(league, whole.tables)], helper, config.figures.width)
        whole = replace(whole, comparison=comparison)
    tell("writing the report")
    files = uptodate.write(out, report.content(whole), own)
    tell("logging to MLflow")
    said = _lines(whole)
    logged, note = (True, unlogged) if unlogged else helper.call(_log, sources[0], files, uri, out, _description(said))
    lines = (*said, note)
    sampled = tuple(run for runs, _ in histories for run in runs)
    digest = uptodate.history_digest([points for _, points in histories])
    uptodate.save(out, uptodate.Manifest(key, sampled, digest, uptodate.digests(files, out), lines, logged))
    return Outcome(whole, files, [*lines, f"Report: {out / 'report.html'}"])


def _part(
    config: AnalysisConfig, uri: str, networks: Networks, folder: str, tell: Tell, helper: Second
) -> tuple[Material, tuple[list[str], pd.DataFrame]]:
    """One experiment; and the runs whose histories are drawn, with these."""
    from multirun_analysis import report, stats
    from multirun_analysis.figures import drawings, sampled_runs
    from multirun_analysis.runs.arms import observed
    from multirun_analysis.runs.exclusions import attempted, default_target, with_unconverged

    tell(f"statistics of {len(networks.used):,} networks")
    results = stats.analyze(
        networks.used,
        networks.params,
        config.target or default_target(networks),
        with_unconverged(networks),
        attempted(networks),
        measures=config.measures,
        group_axes=config.group,
    )
    tell("reading histories")
    runs = sampled_runs(observed(networks.used), results.design)
    histories = read_histories(uri, runs, HISTORIES)
    tasks, drawn = drawings(networks.used, results, histories), []
    for number, image in enumerate(report.render(tasks, helper, config.figures.width), start=1):
        tell(f"figure {number} of {len(tasks)}")
        drawn.append(image)
    return report.Material(networks, results, drawn, config.target is not None, folder), (runs, histories)


def _current(manifest: uptodate.Manifest, key: str, uri: str, out: Path) -> bool:
    if manifest.key != key or not manifest.logged or not uptodate.intact(manifest, out):
        return False
    return uptodate.history_digest([read_histories(uri, manifest.history_runs, HISTORIES)]) == manifest.histories


def _networks(config: AnalysisConfig, uri: str, experiment: str, records: Records) -> Networks:
    """The networks asked for, with why each that is left out is.

    Raises AnalysisError if none is left; of several experiments it names the one.
    """
    try:
        return _selected(config, uri, experiment, records)
    except AnalysisError as error:
        name = f"tracking.experiment={experiment}"
        if len(config.experiments) == 1 or name in str(error):
            raise
        raise AnalysisError(f"{name}: {error}") from None


def _selected(config: AnalysisConfig, uri: str, experiment: str, records: Records) -> Networks:
    from multirun_analysis.runs.exclusions import default_target, exclude, require_some
    from multirun_analysis.runs.params import measures_of, varied

    networks = networks_of(records, Source(uri, experiment, sweep=config.sweep))
    networks = select(networks, flat(config.where))
    target = config.target or default_target(networks)
    networks = exclude(networks, target, asked=config.target is not None)
    require_some(networks, target)
    if config.measures is not None:
        require_known("measures", config.measures, measures_of(networks.used), "measures of these networks")
    if config.group is not None:
        axes = varied(networks.frame, networks.params)
        require_known("group", config.group, axes, "config keys that vary among these networks")
    return networks


def _lines(whole: Report) -> list[str]:
    from multirun_analysis import report
    from multirun_analysis.runs.exclusions import left_out

    lines = []
    for part in whole.parts:
        lead = f"{part.networks.source.experiment}: " if len(whole.parts) > 1 else ""
        lines.append(lead + report.answer(part.results))
        told = {
            "": report.verdict(part.results),
            "Claims: ": report.claim_line(part.results),
            "Measures by tau within groups: ": report.league_line(part.results),
        }
        lines += [f"{head}{text}" for head, text in told.items() if text]
        lines.append(report.summary(part))
        if part.counts:
            lines.append("Left out: " + left_out(part.networks, part.results.target))
    return lines


def _unlogged(sources: Sequence[Source], uri: str) -> str:
    """Why a report of these is logged to no run in MLflow; empty where it is logged to the sweep's."""
    if len(sources) > 1 or sources[0].parent_run is None:
        return "Not logged to MLflow: the networks are not those of exactly one sweep"
    if sources[0].filtered:
        return "Not logged to MLflow: a filter leaves part of the sweep out"
    folder = folder_of(uri, sources[0].parent_files)
    if folder is None or os.access(folder, os.W_OK):
        return ""
    why = "this user may not write to" if folder.is_dir() else "the files of the sweep are not in"
    return f"Not logged to MLflow: {why} {folder}"


def _opened(uri: str) -> None:
    """Ahead of time: to import MLflow and to open a store takes longer than to log to it."""
    with suppress(AnalysisError):
        open_client(uri)
    close_connections()


def _description(lines: Sequence[str]) -> str:
    """What stands over the sweep's run in MLflow's UI, in Markdown."""
    return "\n\n".join([*lines, f"The report and its figures are among the artifacts, in `{ARTIFACTS}/`."])


def _log(source: Source, files: Sequence[Path], uri: str, out: Path, description: str) -> tuple[bool, str]:
    """Logs the files to the run of the sweep, and describes it. False if that failed; and what to tell of it."""
    put = _putting(source, uri)
    try:
        for file in files:
            put(file, Path(ARTIFACTS, file.relative_to(out).parent))
        open_client(uri).set_tag(str(source.parent_run), names.NOTE, description)
    except Exception as error:  # each kind of artifact store has errors of its own
        return False, f"Not logged to the run of sweep {source.sweep}: {one_line(error)}"
    finally:
        close_connections()  # the process may be ended from outside
    return True, f"Logged to the run of sweep {source.sweep} under {ARTIFACTS}/"


def _putting(source: Source, uri: str) -> Callable[[Path, Path], object]:
    """What puts a file into a folder of those of the sweep's run. On this machine without MLflow, which would look for
    them where they were before their store was moved."""
    here = folder_of(uri, source.parent_files)
    if here is None:
        client = open_client(uri)
        return lambda file, folder: client.log_artifact(str(source.parent_run), str(file), folder.as_posix())

    def copied(file: Path, folder: Path) -> None:
        (here / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, here / folder)

    return copied
