"""Write docs/results.md and its figures from a report: python benchmarks/findings.py results/report.

What the analysis says is taken over word for word; of the figures some, and of the configurations none.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES = DOCS / "figures" / "results"
KEPT = (
    "league",
    "gap_against_measures",
    "gap_against_distance",
    "distance_against_width",
    "distance_against_train_size",
    "distance_against_noise",
    "errors_against_width",
)
LEFT = ("Configurations and runs", "Reproduce")
HEAD = """# What the networks say about the paper

Written by `make results`: {grids}.
All measures were computed at the end of each training. What follows is what the analysis wrote on
{machine}. The statistics and
what their intervals mean: [statistics.md](statistics.md); the measures: [measures.md](measures.md).
"""
VERDICTS = {
    "contradicted": "Against",
    "supported": "For",
    "undecided": "Undecided",
}


def sections(text: str, level: int) -> list[str]:
    """A text, cut before each heading of this level."""
    return re.split(rf"^(?={'#' * level} )", text, flags=re.MULTILINE)


def kept(section: str) -> bool:
    """Whether a section belongs into the document."""
    title = section.partition("\n")[0].lstrip("# ")
    return not title.startswith(LEFT)


def picture(section: str) -> str | None:
    """The file name of a section's figure, without its end; None for a section without one."""
    found = re.search(r"!\[[^\]]*\]\(figures/([^)]+)\.png\)", section)
    return found[1] if found else None


def document(report: str, head: str) -> tuple[str, list[str]]:
    """The document, and the figures that it shows."""
    shown: list[str] = []
    parts = []
    for section in filter(kept, sections(report, 2)):
        inner = []
        for piece in sections(section, 3):
            name = picture(piece)
            if name is not None and name.rpartition("/")[2] not in KEPT:
                continue
            if name is not None:
                shown.append(name)
            inner.append(piece.replace("](figures/", "](figures/results/"))
        parts.append("".join(inner))
    opening, *rest = parts
    return "".join([head, "\n", opening.partition("\n")[2].lstrip("\n"), *rest]).rstrip() + "\n", shown


def verdicts(experiments: list[dict[str, Any]]) -> str:
    """Each claim's own sentence, those against the paper first."""
    lines = []
    for verdict, title in VERDICTS.items():
        found = [
            f"- {one['experiment']}: {claim['statement']} {claim['sentence']}"
            for one in experiments
            for claim in one["results"]["claims"]
            if claim["verdict"] == verdict
        ]
        lines += [f"\n{title}:\n", *(found or ["- nothing"])]
    return "## In short\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="folder that the analysis wrote")
    parser.add_argument("--grids", required=True, help="the experiments, in words")
    chosen = parser.parse_args()
    from machine import described, machine

    head = HEAD.format(grids=chosen.grids, machine=described(machine("cpu")))
    statistics = json.loads((chosen.report / "statistics.json").read_text(encoding="utf-8"))
    head += f"\n{verdicts(statistics['experiments'])}\n## How far the evidence on the distance carries\n"
    text, shown = document((chosen.report / "report.md").read_text(encoding="utf-8"), head)
    shutil.rmtree(FIGURES, ignore_errors=True)
    for name in shown:
        target = FIGURES / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(chosen.report / "figures" / f"{name}.png", target)
    (DOCS / "results.md").write_text(text, encoding="utf-8")
    print(f"Results: {DOCS / 'results.md'}, {len(shown)} figures")


if __name__ == "__main__":
    main()
