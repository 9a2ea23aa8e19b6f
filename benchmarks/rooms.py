"""The plan of the house: which rooms a package has, and which of them import which.

    python benchmarks/rooms.py                               # numbers of both packages
    python benchmarks/rooms.py initdist --arrows             # and every arrow, with the files behind it
    python benchmarks/rooms.py initdist --draw FILE.png      # and a picture

A room is a module or a folder directly inside a package. Every import counts, also those inside functions and those for
type checkers. An underscore marks the package's face and its old names, which are no rooms unless a room imports them.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
Arrow = tuple[str, str]  # a room and a room that it imports


def imports(tree: ast.AST, waits: bool = False) -> Iterator[tuple[str, bool]]:
    """Each name that a file imports, and whether that import waits: in a function, or for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, waits) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", waits) for alias in node.names)
        types_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from imports(node, waits or types_only or isinstance(node, ast.FunctionDef))


def arrows(package: str) -> tuple[set[str], dict[Arrow, list[str]], dict[Arrow, list[str]]]:
    """The rooms; the arrows between them, with their files; and those of them that only wait."""
    files = {file: file.relative_to(ROOT / package) for file in sorted((ROOT / package).rglob("*.py"))}
    names = {file: own.with_suffix("").parts[0] for file, own in files.items()}
    found: dict[Arrow, list[str]] = {}
    at_once: set[Arrow] = set()
    for file, room in names.items():
        for name, waits in imports(ast.parse(file.read_text(encoding="utf-8"))):
            root, _, inside = name.partition(".")
            target = inside.split(".")[0] if inside.split(".")[0] in names.values() else "__init__"
            if root == package and target != room:
                found.setdefault((room, target), []).append(str(files[file]))
                at_once |= set() if waits else {(room, target)}
    rooms = {room for room in names.values() if not room.startswith("_")}
    rooms |= {target for source, target in found if source in rooms}
    found = {arrow: files for arrow, files in found.items() if rooms >= {*arrow}}
    return rooms, found, {arrow: files for arrow, files in found.items() if arrow not in at_once}


def reaches(start: str, end: str, drawn: Collection[Arrow]) -> bool:
    """Whether arrows lead from one room to another, or it is the same."""
    seen, todo = {start}, [start]
    while todo:
        room = todo.pop()
        todo += {target for source, target in drawn if source == room} - seen
        seen |= {*todo}
    return end in seen


def plan(package: str) -> tuple[list[list[str]], dict[Arrow, list[str]], list[Arrow], list[list[str]]]:
    """Levels from the ground up, arrows, upward arrows (each closes a circle with others) and circles."""
    rooms, every, waiting = arrows(package)
    straight: set[Arrow] = set()
    for source, target in sorted(every, key=lambda arrow: (arrow in waiting, arrow)):
        straight |= set() if reaches(target, source, straight) else {(source, target)}
    around = {tuple(sorted(b for b in rooms if reaches(a, b, every) and reaches(b, a, every))) for a in rooms}
    levels: list[list[str]] = []
    while rooms:
        levels.append(sorted(room for room in rooms if not any((room, below) in straight for below in rooms)))
        rooms -= {*levels[-1]}
    upward = [arrow for arrow in every if arrow not in straight]
    return levels, every, upward, sorted([*circle] for circle in around if len(circle) > 1)


def draw(package: str, file: Path) -> None:
    """Rooms as boxes by level, the ground below. Upward arrows are red."""
    levels, every, upward, _ = plan(package)
    wide = max(map(len, levels))
    figure, axes = plt.subplots(figsize=(max(12.0, 1.2 * wide), 1.1 * len(levels)))
    place = {room: ((i + 0.5) * wide / len(row), y) for y, row in enumerate(levels) for i, room in enumerate(row)}
    for source, target in every:
        up = (source, target) in upward
        look = {"color": "#c0392b" if up else "#34699a", "alpha": 0.9 if up else 0.3, "shrinkA": 10, "shrinkB": 10}
        axes.annotate("", place[target], place[source], arrowprops={"arrowstyle": "-|>", **look})
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#f6f1e7", "edgecolor": "#555555"}
        axes.text(x, y, room, ha="center", va="center", fontsize=9, bbox=box)
    axes.set(xlim=(0, wide), ylim=(-0.6, len(levels) - 0.4))
    axes.set_title(f"{package}: {len(place)} rooms, {len(levels)} levels, {len(every)} arrows", loc="left")
    axes.axis("off")
    figure.savefig(file, dpi=75, bbox_inches="tight", pil_kwargs={"optimize": True})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", default=["initdist", "multirun_analysis"])
    parser.add_argument("--arrows", action="store_true", help="every arrow with its files")
    parser.add_argument("--draw", type=Path, help="file of the picture; give one package")
    options = parser.parse_args()
    for package in options.packages:
        levels, every, upward, circles = plan(package)
        print(f"{package}: {sum(map(len, levels))} rooms, {len(levels)} levels, {len(every)} arrows, ", end="")
        print(f"{len(upward)} upward, {len(circles)} circles")
        print(*(f"  {number:2} {' '.join(row)}" for number, row in enumerate(levels)), sep="\n")
        print(*(f"  upward: {' -> '.join(arrow)}\n" for arrow in upward), sep="", end="")
        print(*(f"  circle: {' '.join(circle)}\n" for circle in circles), sep="", end="")
        for arrow, files in sorted(every.items()) if options.arrows else ():
            print(f"  {' -> '.join(arrow)}: {', '.join(sorted({*files}))}")
        if options.draw:
            draw(package, options.draw)


if __name__ == "__main__":
    main()
