"""`python -m multirun_analysis.paper`: train what is missing of every part of the paper, judge it, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from multirun_analysis.errors import AnalysisError
from multirun_analysis.paper import page
from multirun_analysis.paper.make import Failed, make, seconds
from multirun_analysis.paper.parts import PARTS, PLAIN, SIZES

NAMES = tuple(part.name for part in PARTS)


def main() -> None:
    """Exit code 1 if a command of a part failed, 130 after Ctrl-C; the same command goes on where it was."""
    parser = argparse.ArgumentParser(
        prog="python -m multirun_analysis.paper",
        description="Train what is missing of every part, judge it, and write the page. It can be stopped, and goes on "
        "where it was.",
        epilog="The store is FOLDER/mlflow.db, unless MLFLOW_TRACKING_URI names another.",
    )
    parser.add_argument(
        "--size", choices=SIZES, default=PLAIN, help="small: minutes; plain: an hour on two cores; full: a GPU"
    )
    parser.add_argument("--parts", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--folder", type=Path, help="of the store and the reports (results/paper, or results/paper-SIZE)"
    )
    parser.add_argument("--out", type=Path, help="folder of the page and its figures (FOLDER, in which it is paper.md)")
    parser.add_argument(
        "--page", action="store_true", help="train nothing: write the page from the reports that are there"
    )
    chosen = parser.parse_args()
    asked = chosen.parts.split(",")
    if unknown := sorted({*asked} - {*NAMES}):
        parser.error(f"--parts must be of {', '.join(NAMES)}, got {', '.join(unknown)}")
    folder = chosen.folder or Path("results", "paper" if chosen.size == PLAIN else f"paper-{chosen.size}")
    folder.mkdir(parents=True, exist_ok=True)
    parts = [part for part in PARTS if part.name in asked]
    try:
        for place, part in enumerate([] if chosen.page else parts, start=1):
            print(f"\n=== part {place} of {len(parts)}: {part.name} ({part.title})", flush=True)
            spent = make(part, chosen.size, folder)
            print(
                f"=== {part.name}: {spent / 60:.1f} min; {folder / part.name / 'figures' / part.figures[0]}.png",
                flush=True,
            )
    except Failed as error:
        sys.exit(f"initdist: {error}")
    except KeyboardInterrupt:
        print("initdist: interrupted: the same command goes on where it was", file=sys.stderr)
        sys.exit(130)
    if times := seconds(folder):
        print(f"All parts: {sum(times.values()) / 60:.0f} min")
    try:
        print(f"Page: {page.write(folder, chosen.out or folder, chosen.size)}")
    except AnalysisError as error:
        sys.exit(f"initdist: {error}")


if __name__ == "__main__":
    main()
