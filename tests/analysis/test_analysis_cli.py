"""The command as users type it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

WITHOUT_TORCH = (
    "import sys; from multirun_analysis.__main__ import main; main(); "
    "assert 'torch' not in sys.modules; assert 'initdist.train' not in sys.modules; print('no torch')"
)


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_an_analysis_leaves_its_files_and_nothing_else_and_needs_no_torch(planted, tmp_path):
    result = run(tmp_path, "-c", WITHOUT_TORCH, f"tracking.uri={planted.uri}", "out='my reports'")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "Within groups of equal n and p, networks farther from their initialization have a larger"
    )
    assert lines[1] == "54 of 54 runs used, 18 configurations; varied: n, p, width."
    assert lines[2] == "Logged to the run of sweep abc123 under analysis/"
    assert lines[3] == f"Report: {tmp_path / 'my reports' / 'report.html'}"
    assert lines[4] == "no torch"
    assert [path.name for path in tmp_path.iterdir()] == ["my reports"]


def test_a_missing_store_is_one_line_and_creates_nothing(tmp_path):
    message = one_line(run(tmp_path, "-m", "multirun_analysis"))
    assert f"there is no file {tmp_path / 'mlflow.db'}" in message
    assert list(tmp_path.iterdir()) == []


def test_the_store_may_come_from_the_environment(small, tmp_path):
    result = run(tmp_path, "-m", "multirun_analysis", "tracking.experiment=digits", MLFLOW_TRACKING_URI=small.uri)
    assert "tracking.experiment=digits does not exist" in one_line(result)
    assert result.returncode == 2


def test_a_bad_target_is_one_line(tmp_path):
    assert "target must be one of generalization_gap," in one_line(
        run(tmp_path, "-m", "multirun_analysis", "target=gap")
    )


def test_an_unknown_key_is_refused_by_name(tmp_path):
    result = run(tmp_path, "-m", "multirun_analysis", "trakcing.uri=x")
    assert result.returncode != 0
    assert "trakcing" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_is_quick_and_names_the_keys(tmp_path):
    start = time.perf_counter()
    result = run(tmp_path, "-m", "multirun_analysis", "--help")
    assert result.returncode == 0
    assert time.perf_counter() - start < 3
    for key in ("tracking.uri", "tracking.experiment", "sweep", "target", "out"):
        assert key in result.stdout
