"""The README says what is so: its tables against the configs and the files."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.helpers import make

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading."""
    section = README.split(f"### {heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


PAIRS = [pair for row in rows("Keys and defaults") for pair in zip(row[0].split(", "), row[1].split(", "), strict=True)]


@pytest.mark.parametrize(("key", "default"), PAIRS)
def test_defaults_are_the_composed_ones(key, default, monkeypatch):
    monkeypatch.delenv("INITDIST_DATA", raising=False)
    config = OmegaConf.create("value: " + default.strip("`"))
    value = make()
    for part in key.strip("`").split("."):
        value = getattr(value, part)
    assert str(value).lower() == str(config.value).lower()


def test_groups_name_files():
    for group, choices in rows("Config groups"):
        named = set(re.findall(r"`([a-z_0-9]+)`", choices))  # `full/...` stands for a folder
        files = {path.stem for path in (ROOT / "conf" / group.strip("`")).glob("*.yaml")}
        assert named, group
        assert named <= files, group


def test_groups_and_their_defaults_are_those_of_the_config():
    """Choices can be more than are named here: a member that is added is a file, and no line of the README."""
    listed = [entry for entry in OmegaConf.load(ROOT / "conf/config.yaml").defaults if not isinstance(entry, str)]
    chosen = {key: choice for entry in listed for key, choice in entry.items() if not key.startswith("override ")}
    said = {group.strip("`"): re.match(r"`(\w+)` \(default", choices) for group, choices in rows("Config groups")}
    assert {group: default and default[1] for group, default in said.items()} == chosen


def test_every_link_and_figure_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_fault_in_the_docs_has_the_tests_it_names():
    lines = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("|")][2:]
    there = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    for line in lines:
        named = re.findall(r"`(test_\w+)`", line)
        assert named, line
        assert set(named) <= there, line
