"""Results and figures -> runs.csv, statistics.json, tables, figures, report.md, report.html."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from initdist.secrets import masked
from multirun_analysis.errors import AnalysisError
from multirun_analysis.figures.hover import Point
from multirun_analysis.report import exports, html, markdown, runs_table
from multirun_analysis.report.inputs import Material, Report, folder_of, summary
from multirun_analysis.report.rendering import Rendered, render
from multirun_analysis.report.sections import blocks
from multirun_analysis.report.sentences import answer, claim_line, league_line, remarks, target_note, verdict
from multirun_analysis.runs.exclusions import MEANING, counts_by_cell
from multirun_analysis.runs.read import INVALID, TEST_CORRECT
from multirun_analysis.stats import plain
from multirun_analysis.uptodate import versions

__all__ = [
    "Material",
    "Rendered",
    "Report",
    "answer",
    "claim_line",
    "content",
    "folder_of",
    "league_line",
    "prepare",
    "render",
    "summary",
    "verdict",
]

TEXTS = ("runs.csv", "statistics.json", "report.md", "report.html")
FIGURES = "figures"
KINDS = ("svg", "png", "pdf")
SCHEMA_VERSION = 1


def prepare(out: Path, own: Collection[str]) -> None:
    """Make the output directory. Raises AnalysisError before any work is done if it cannot be written, or if files lie
    there that are not `own`, of an earlier analysis, and that this one would overwrite."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise AnalysisError(f"out={out} must be a directory that can be written: {error.strerror or error}") from error
    images = (file for kind in KINDS for file in (out / FIGURES).rglob(f"*.{kind}"))
    for file in [*filter(Path.exists, (out / name for name in TEXTS)), *sorted(images)]:
        if (name := file.relative_to(out).as_posix()) not in own:
            raise AnalysisError(
                f"out={out} must be a directory of its own, got one with {name} in it, which no analysis has written; "
                f"name another, as out=reports/mine"
            )


def content(report: Report) -> dict[str, bytes]:
    """All files, name below the output directory -> what is in it, in a stable order."""
    pictures = _pictures(report)
    shown = blocks(report)
    heading = f"Distance from initialization and generalization: {report.title}"
    numbers = json.dumps(statistics(report), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    images = {name: found[0] for name, found in pictures.items()}
    texts = (
        _runs(report),
        numbers,
        markdown.render(heading, shown),
        html.render(heading, shown, images, _points(report)),
    )
    files = {name: text.encode() for name, text in zip(TEXTS, texts, strict=True)}
    for name, found in pictures.items():
        files |= {f"{FIGURES}/{name}.{kind}": image for kind, image in zip(KINDS, found, strict=True)}
    return files | exports.files(report)


def statistics(report: Report) -> dict[str, object]:
    """Everything numeric, in fractions and raw units, as JSON has it: docs/statistics.schema.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": report.command,
        "where": plain(dict(report.where)),
        "versions": versions(),
        "experiments": [_experiment(part) for part in report.parts],
    }


def _experiment(material: Material) -> dict[str, object]:
    source = asdict(material.networks.source) | {"uri": masked(material.networks.source.uri)}
    return {
        "experiment": material.networks.source.experiment,
        "answer": answer(material.results),
        "verdict": verdict(material.results),
        "remarks": [*remarks(material.results), *filter(None, [target_note(material)])],
        "source": plain(source),
        "runs": len(material.networks.frame),
        "used": len(material.networks.used),
        "left_out": material.counts,
        "left_out_meaning": {reason: MEANING[reason] for reason in material.counts},
        "left_out_by_cell": plain(counts_by_cell(material.networks)),
        "results": plain(material.results),
        "figures": {d.name: d.caption if d.images else f"left out: {d.caption}" for d in material.drawings},
    }


def _runs(report: Report) -> str:
    """Every run of every experiment, its address in the MLflow UI in the last column."""
    frames = []
    for material in report.parts:
        frame = material.networks.frame.drop(columns=[INVALID, TEST_CORRECT])
        frame.insert(0, "experiment", material.networks.source.experiment)
        frames.append(frame.assign(url=runs_table.addresses(material, report.ui_url)))
    return pd.concat(frames, ignore_index=True).to_csv(index=False, lineterminator="\n")


def _points(report: Report) -> dict[str, tuple[Point, ...]]:
    """Name -> what is told of a figure's values."""
    found = {material.picture(d.name): d.points for material in report.parts for d in material.drawings}
    if report.comparison is not None:
        found[report.comparison.name] = report.comparison.points
    return found


def _pictures(report: Report) -> dict[str, tuple[bytes, bytes, bytes]]:
    """Name -> SVG, PNG and PDF of all figures that could be drawn."""
    drawn = [(material.picture(d.name), d.images) for material in report.parts for d in material.drawings]
    if report.comparison is not None:
        drawn.append((report.comparison.name, report.comparison.images))
    return {name: images for name, images in drawn if images is not None}
