"""Results and figures -> runs.csv, statistics.json, figures, report.md, report.html."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

from multirun_analysis.errors import AnalysisError
from multirun_analysis.figures import NAMES, theme
from multirun_analysis.query import INVALID, TEST_CORRECT
from multirun_analysis.report import html, markdown
from multirun_analysis.report.answer import answer, remarks
from multirun_analysis.report.content import Material, blocks, summary, title, versions
from multirun_analysis.selection import MEANING
from multirun_analysis.stats import plain
from multirun_analysis.store import masked

__all__ = ["Material", "answer", "prepare", "remarks", "summary", "write"]

DPI = 160


def prepare(out: str | Path) -> Path:
    """The output directory, made and writable. Raises AnalysisError before any work is done if it cannot be."""
    path = Path(out)
    try:
        (path / "figures").mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise AnalysisError(f"out={out} must be a directory that can be written: {error.strerror or error}") from error
    return path


def write(material: Material, out: Path) -> list[Path]:
    """All files, in a stable order. Figures of an earlier analysis that this one leaves out are removed."""
    images, files = _figures(material, out / "figures")
    content = blocks(material)
    heading = f"Distance from initialization and generalization: {title(material)}"
    texts = {
        "runs.csv": material.networks.frame.drop(columns=[INVALID, TEST_CORRECT]).to_csv(
            index=False, lineterminator="\n"
        ),
        "statistics.json": json.dumps(statistics(material), indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "report.md": markdown.render(heading, content),
        "report.html": html.render(heading, content, images),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [*(out / name for name in texts), *files]


def statistics(material: Material) -> dict[str, object]:
    """Everything numeric, in fractions and raw units, as JSON has it."""
    source = asdict(material.networks.source) | {"uri": masked(material.networks.source.uri)}
    return {
        "answer": answer(material.results),
        "remarks": remarks(material.results),
        "source": plain(source),
        "runs": len(material.networks.frame),
        "used": len(material.networks.used),
        "left_out": dict(material.counts),
        "left_out_meaning": {reason: MEANING[reason] for reason in material.counts},
        "left_out_by_cell": plain(list(material.by_cell)),
        "results": plain(material.results),
        "figures": {d.name: d.caption if d.figure else f"left out: {d.caption}" for d in material.drawings},
        "command": material.command,
        "versions": versions(),
    }


def _figures(material: Material, folder: Path) -> tuple[dict[str, bytes], list[Path]]:
    images, files = {}, []
    for name in NAMES:
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    with theme():
        for drawing in material.drawings:
            if drawing.figure is None:
                continue
            vector, pixels = folder / f"{drawing.name}.svg", folder / f"{drawing.name}.png"
            buffer = io.BytesIO()
            drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
            drawing.figure.set_layout_engine("none")  # the layout just found also serves the second file
            images[drawing.name] = buffer.getvalue()
            vector.write_bytes(images[drawing.name])
            drawing.figure.savefig(pixels, format="png", dpi=DPI)
            files += [pixels, vector]
    return images, files
