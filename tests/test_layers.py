"""The order of the rooms: imports point downward only, and what must start quickly imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground to the top. A room imports from those before it alone. A folder stands for what is inside.
ROOMS = (
    # The ground, which imports nothing of ours.
    *("names", "paths", "errors", "files", "rng", "cores", "provenance", "surroundings"),
    *("secrets", "retry", "config"),
    *("events", "catalogue", "tracking", "models", "data"),
    *("cli", "stacks"),
    "measures",
    "training",
    "workers",
    "sweeps",
    *("train", "measure", "clean", "ui", "api", "testing"),
)
PLACE = {room: place for place, room in enumerate(ROOMS)}
GROUND = ROOMS[: ROOMS.index("secrets")]
FACE = ("__init__", "_moved")  # the package's face and its old names: no rooms

HEAVY = {"torch", "torchvision", "mlflow", "sklearn", "pandas", "matplotlib", "seaborn", "statsmodels", "safetensors"}
LIGHT = {"catalogue", "cli", "cores", "errors", "names", "paths", "secrets", "surroundings", "tracking"}
FILES = sorted((ROOT / "initdist").rglob("*.py"))


def _room(file: Path) -> str:
    """`initdist/measures/core.py` -> `measures`."""
    return file.relative_to(ROOT / "initdist").with_suffix("").parts[0]


def _imports(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Each import as the parts of its dotted name, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            assert node.module is not None
            yield from ((*node.module.split("."), alias.name) for alias in node.names)


def _at_top(tree: ast.Module) -> ast.Module:
    """What runs when a module is imported: no function bodies, nothing under TYPE_CHECKING."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    return Strip().visit(tree)


def test_every_room_has_a_place() -> None:
    assert {_room(file) for file in FILES} == {*ROOMS, *FACE}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_downward(file: Path) -> None:
    """Those inside functions and those for type checkers too."""
    room = _room(file)
    tree = ast.parse(file.read_text())
    if room in FACE:  # it may show what any room offers, but not at its top
        top = {parts[1] for parts in _imports(_at_top(tree)) if parts[0] == "initdist"}
        assert top <= {*GROUND, *FACE}
        return
    for parts in _imports(tree):
        assert parts[0] not in ("multirun_analysis", "hydra_plugins", "tests"), parts
        if parts[0] == "initdist" and parts[1] != room:
            assert parts[1] in PLACE, parts
            assert PLACE[parts[1]] < PLACE[room], f"{room} must not import {'.'.join(parts)}"
            assert room not in GROUND, parts


def test_a_room_says_what_it_is_for() -> None:
    """In its first sentences: what it is for, what may come in, and what it offers."""
    for room in {_room(file) for file in FILES if file.parent != ROOT / "initdist"}:
        text = ast.get_docstring(ast.parse((ROOT / "initdist" / room / "__init__.py").read_text())) or ""
        assert "come in" in text or "comes in" in text, room
        assert "It\noffers" in text or "It offers" in text, room


@pytest.mark.parametrize("file", sorted((ROOT / "multirun_analysis").rglob("*.py")), ids=lambda f: f.stem)
def test_the_analysis_takes_only_what_is_light_and_never_torch(file: Path) -> None:
    for parts in _imports(ast.parse(file.read_text())):
        assert parts[0] not in ("torch", "torchvision", "hydra_plugins"), parts
        if parts[0] == "initdist":
            assert parts[1] in LIGHT, parts


def test_names_import_nothing() -> None:
    assert list(_imports(ast.parse((ROOT / "initdist/names.py").read_text()))) == []


@pytest.mark.parametrize("name", ["stacks", "measures", "data", "training"])
def test_what_trains_knows_no_hydra_and_no_mlflow(name: str) -> None:
    for file in [f for f in FILES if _room(f) == name]:
        for parts in _imports(ast.parse(file.read_text())):
            assert parts[0] not in ("hydra", "mlflow"), (file, parts)
            assert parts[:2] != ("initdist", "tracking")


@pytest.mark.parametrize("name", ["tracking", "sweeps", "catalogue", "cli", "config"])
def test_the_process_that_plans_and_tracks_knows_no_torch(name: str) -> None:
    for file in [f for f in FILES if _room(f) == name and f.name != "cost.py"]:  # a dry run times a product
        for parts in _imports(ast.parse(file.read_text())):
            assert parts[0] not in ("torch", "torchvision"), (file, parts)


def test_the_sweeper_imports_nothing_of_the_package_at_its_top() -> None:
    """Every Hydra application on the machine scans it."""
    for file in (ROOT / "hydra_plugins").rglob("*.py"):
        for parts in _imports(_at_top(ast.parse(file.read_text()))):
            assert parts[0] != "initdist" or parts[1] in GROUND, parts
            assert parts[0] not in HEAVY, parts


@pytest.mark.parametrize(
    "statement",
    [
        "import initdist",
        "import initdist.train",
        "import initdist.measure",
        "from initdist import events; from initdist.sweeps import planning, progress, summary",
        "from initdist.workers import partition, pool",
        "from initdist.config import expansion, identity, registry, schema",
        "from initdist import models; from initdist.data import datasets; models.schemas(); datasets.describe.__doc__",
        "from initdist.cli import compose; compose.register(); list(compose.keys())",
        "from initdist.config import families as f; [f.family(name).check_own() for name in f.CHOSEN]",
        "from initdist import api; from initdist.sweeps import planning as p; p.network(*api.network_configs())",
        "import hydra_plugins.initdist.sweeper",
    ],
)
def test_nothing_heavy_is_imported_to_compose_and_plan(statement: str) -> None:
    script = f"import sys; {statement}; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
