"""One analysis from the store to the files: the composition of query, statistics, figures and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from initdist import names
from multirun_analysis import report, stats
from multirun_analysis.config import AnalysisConfig, command
from multirun_analysis.figures import draw, sampled_runs
from multirun_analysis.query import read_histories, read_networks
from multirun_analysis.selection import counts, counts_by_cell, exclude, require_some, with_unconverged
from multirun_analysis.store import default_uri, one_line, open_client

ARTIFACTS = "analysis"  # folder of the files among the sweep's artifacts


@dataclass(frozen=True)
class Outcome:
    """lines: what to tell the user."""

    material: report.Material
    files: list[Path]
    lines: list[str]


def analyze(config: AnalysisConfig, directory: str | Path) -> Outcome:
    """directory: where relative paths and the default store lie. Raises AnalysisError."""
    uri = config.tracking.uri or default_uri(directory)
    networks = read_networks(uri, config.tracking.experiment, config.sweep)
    networks = exclude(networks, config.target)
    require_some(networks, config.target)
    out = report.prepare(Path(directory) / config.out)
    used = networks.used
    results = stats.analyze(used, networks.params, config.target, with_unconverged(networks))
    histories = read_histories(uri, sampled_runs(used, results), names.DISTANCE)
    material = report.Material(
        networks,
        counts(networks),
        counts_by_cell(networks),
        results,
        draw(used, results, histories),
        command(config, uri),
    )
    files = report.write(material, out)
    return Outcome(
        material, files, [*_lines(material), _log(material, files, uri, out), f"Report: {out / 'report.html'}"]
    )


def _lines(material: report.Material) -> list[str]:
    lines = [report.answer(material.results), report.summary(material)]
    if material.counts:
        lines.append("Left out: " + ", ".join(f"{number} {reason}" for reason, number in material.counts.items()))
    return lines


def _log(material: report.Material, files: list[Path], uri: str, out: Path) -> str:
    """Logs the files to the run of the sweep, if exactly one sweep was analyzed."""
    from mlflow.exceptions import MlflowException

    source = material.networks.source
    if source.parent_run is None:
        return "Not logged to MLflow: the networks are not those of exactly one sweep"
    client = open_client(uri)
    try:
        for file in files:
            folder = file.relative_to(out).parent.as_posix()
            client.log_artifact(source.parent_run, str(file), ARTIFACTS if folder == "." else f"{ARTIFACTS}/{folder}")
    except (MlflowException, OSError) as error:
        return f"Not logged to the run of sweep {source.sweep}: {one_line(error)}"
    return f"Logged to the run of sweep {source.sweep} under {ARTIFACTS}/"
