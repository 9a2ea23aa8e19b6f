"""Results and figures -> runs.csv, statistics.json, figures, report.md, report.html."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from multirun_analysis.errors import AnalysisError
from multirun_analysis.report import html, markdown, runs_table
from multirun_analysis.report.inputs import Material, Report, folder_of, summary
from multirun_analysis.report.rendering import Rendered, render
from multirun_analysis.report.sections import blocks
from multirun_analysis.report.sentences import answer, claim_line, league_line, remarks, target_note, verdict
from multirun_analysis.runs.exclusions import MEANING, counts_by_cell
from multirun_analysis.runs.read import INVALID, TEST_CORRECT
from multirun_analysis.runs.store import masked
from multirun_analysis.stats import plain
from multirun_analysis.uptodate import versions

__all__ = [
    "Material",
    "Rendered",
    "Report",
    "answer",
    "claim_line",
    "folder_of",
    "league_line",
    "prepare",
    "render",
    "summary",
    "verdict",
    "write",
]

FIGURES = "figures"
SCHEMA_VERSION = 1


def prepare(out: str | Path) -> Path:
    """The output directory, made and writable. Raises AnalysisError before any work is done if it cannot be."""
    path = Path(out)
    try:
        (path / FIGURES).mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise AnalysisError(f"out={out} must be a directory that can be written: {error.strerror or error}") from error
    return path


def write(report: Report, out: Path) -> list[Path]:
    """All files, in a stable order. Figures of an earlier analysis are removed first."""
    images, files = _figures(report, out / FIGURES)
    content = blocks(report)
    heading = f"Distance from initialization and generalization: {report.title}"
    texts = {
        "runs.csv": _runs(report),
        "statistics.json": json.dumps(statistics(report), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "report.md": markdown.render(heading, content),
        "report.html": html.render(heading, content, images),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [*(out / name for name in texts), *files]


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


def _figures(report: Report, folder: Path) -> tuple[dict[str, bytes], list[Path]]:
    shutil.rmtree(folder)
    images: dict[str, bytes] = {}
    files: list[Path] = []
    drawn = [(material.picture(d.name), d.images) for material in report.parts for d in material.drawings]
    if report.comparison is not None:
        drawn.append((report.comparison.name, report.comparison.images))
    for name, found in drawn:
        if found is None:
            continue
        vector, pixels = folder / f"{name}.svg", folder / f"{name}.png"
        vector.parent.mkdir(parents=True, exist_ok=True)
        vector.write_bytes(found[0])
        pixels.write_bytes(found[1])
        images[name] = found[0]
        files += [pixels, vector]
    return images, files
