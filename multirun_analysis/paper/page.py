"""The page: what each part found, in the order of the paper, from the reports; and its figures beside it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import jinja2

from multirun_analysis import labels
from multirun_analysis.paper import findings, make, summary, words
from multirun_analysis.paper.findings import Findings
from multirun_analysis.paper.parts import COLUMN, PLAIN
from multirun_analysis.report import exports
from multirun_analysis.report.markdown import escaped

FIGURES = "figures/paper"  # below the page's folder
RUNS = "paper"  # the same: every network of each part
CODE = "https://github.com/initdist/initdist/blob/main"
TEMPLATES = Path(__file__).parent / "templates"


def write(folder: Path, out: Path, size: str = PLAIN) -> Path:
    """Write paper.md, paper.tex, their figures and runs into `out`. Raises AnalysisError if `folder` has no report."""
    parts = findings.load(folder)
    for source, target in _figures(parts):
        (out / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, out / target)
    for name, found in parts.items():
        (out / RUNS).mkdir(parents=True, exist_ok=True)
        packed = gzip.compress((found.folder / "runs.csv").read_bytes(), mtime=0)
        (out / RUNS / f"{name}.csv.gz").write_bytes(packed)
    page = out / "paper.md"
    times, machine = make.seconds(folder), make.machine(folder)
    page.write_text(render(parts, machine, times, size), encoding="utf-8")
    (out / "paper.tex").write_text(render(parts, machine, times, size, "paper.tex.j2"), encoding="utf-8")
    return page


def render(
    parts: dict[str, Findings], machine: str, times: dict[str, float], size: str = PLAIN, template: str = "paper.md.j2"
) -> str:
    """The page as Markdown; or, by its template, what a paper takes of it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": escaped, "number": labels.number, "fixed": labels.fixed, "together": labels.together}
    environment.filters |= {"estimate": findings.estimate, "effect": findings.effect, "short": labels.short}
    environment.filters |= {"tex": exports.escaped, "plain": labels.plain, "listing": labels.listing}
    claims = findings.claims_of(parts)
    text = environment.get_template(template).render(
        parts=parts,
        claims=claims,
        times=times,
        size=size,
        answer=summary.answer(parts, claims),
        against=summary.standing(claims, "contradicted"),
        undecided=summary.standing(claims, "undecided"),
        reasons=words.REASONS,
        says=words.SAYS,
        cells=findings.cells,
        bound=findings.bound,
        by_level=findings.by_level,
        figures=FIGURES,
        code=CODE,
        machine=machine,
    )
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def _figures(parts: dict[str, Findings]) -> Iterator[tuple[Path, str]]:
    """The pictures that the page shows: where they are, and where they go below the page's folder."""
    for name, found in parts.items():
        for figure in found.figures:
            yield found.folder / "figures" / f"{figure}.png", f"{FIGURES}/{name}/{figure}.png"
            drawn = [folder / "figures" / f"{figure}.pdf" for folder in (found.folder / COLUMN, found.folder)]
            yield next(filter(Path.exists, drawn)), f"{FIGURES}/{name}/{figure}.pdf"
