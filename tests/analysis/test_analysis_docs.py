"""What the documentation says is run: its code on a small store, its schema on the statistics of real analyses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.report.schema import schema
from multirun_analysis.session import analyze

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("page", ["analysis.md"])
def test_the_code_in_the_docs_runs(planted, page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.S)
    assert blocks
    code = "\n".join(blocks).replace("sqlite:///mlflow.db", planted.uri)
    exec(compile(code, page, "exec"), {})
    printed = capsys.readouterr().out
    assert "distance_from_init: " in printed
    assert "C1b supported" in printed
    assert (tmp_path / "distance.pdf").read_bytes().startswith(b"%PDF")


def test_the_figure_of_the_docs_is_drawn(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, own = re.findall(r"```python\n(.*?)```", (DOCS / "howto/figures.md").read_text(), re.S)
    exec(compile(f"{code}\n{own}".replace("sqlite:///mlflow.db", planted.uri), "figures.md", "exec"), {})
    assert (tmp_path / "gap.pdf").read_bytes().startswith(b"%PDF")


def test_the_schema_in_the_docs_is_that_of_the_code():
    """If not: python -m multirun_analysis.report.schema > docs/statistics.schema.json."""
    assert json.loads((DOCS / "statistics.schema.json").read_text()) == schema()


@pytest.mark.parametrize(
    ("store", "experiment"), [("planted", "initdist"), ("messy", "initdist"), ("small", "one-seed")]
)
def test_real_statistics_meet_the_schema(store, experiment, request, tmp_path):
    uri = request.getfixturevalue(store).uri
    analyze(AnalysisConfig(Tracking(uri, experiment), out=str(tmp_path)), tmp_path)
    found = json.loads((tmp_path / "statistics.json").read_text())
    errors = [f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(schema()).iter_errors(found)]
    assert errors == []


def test_two_experiments_stand_side_by_side(small, planted, tmp_path):
    config = AnalysisConfig(Tracking(small.uri, ["one-seed", "one-configuration"]), out=str(tmp_path))
    outcome = analyze(config, tmp_path)
    assert [part.networks.source.experiment for part in outcome.report.parts] == ["one-seed", "one-configuration"]
    found = json.loads((tmp_path / "statistics.json").read_text())
    assert [one["experiment"] for one in found["experiments"]] == ["one-seed", "one-configuration"]
    assert list(Draft202012Validator(schema()).iter_errors(found)) == []
    text = (tmp_path / "report.md").read_text()
    assert "## Side by side" in text
    assert "| measure | one-seed: place | one-seed: τ within | one-seed: gain | one-configuration: place |" in text
    assert "## Claims: one-configuration" in text
    assert (tmp_path / "figures" / "1-one-seed" / "distance_against_width.svg").is_file()
    assert "one-seed: " in outcome.lines[0]
    again = analyze(config, tmp_path)
    assert again.report is None
