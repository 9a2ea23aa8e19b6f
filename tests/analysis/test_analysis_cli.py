"""The command as users type it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initdist.paths import conf_dir
from multirun_analysis import AnalysisError
from multirun_analysis.config import FOLDER, register, unswept, validate
from multirun_analysis.session import analyze

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
        timeout=300,
        check=False,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def reported(planted, tmp_path_factory):
    """A folder with a report, and the call that wrote it."""
    folder = tmp_path_factory.mktemp("reported")
    return folder, run(folder, "-c", WITHOUT_TORCH, f"tracking.uri={planted.uri}", "out='my reports'")


def test_an_analysis_leaves_its_files_and_nothing_else_and_needs_no_torch(reported):
    folder, result = reported
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Within groups of equal n and p,")
    assert "generalization gap under noise" in lines[0]
    assert lines[1].startswith("The distance, rung by rung: associated: supported; ")
    assert re.fullmatch(r"Claims: C1a, C1b.* supported; .*C7 undecided", lines[2])
    assert lines[3].startswith("Measures by tau within groups: 1. distance_")
    assert lines[4] == "54 of 54 runs used, 18 configurations; varied: n, p, width."
    assert lines[5] == "Logged to the run of sweep abc123 under analysis/"
    assert lines[6] == f"Report: {folder / 'my reports' / 'report.html'}"
    assert lines[7] == "no torch"
    assert [path.name for path in folder.iterdir()] == ["my reports"]


def test_a_missing_store_is_one_line_and_creates_nothing(tmp_path):
    message = one_line(run(tmp_path, "-m", "multirun_analysis"))
    assert f"there is no file {tmp_path / 'mlflow.db'}" in message
    assert list(tmp_path.iterdir()) == []


def test_the_store_may_come_from_the_environment(small, tmp_path):
    result = run(tmp_path, "-m", "multirun_analysis", "tracking.experiment=digits", MLFLOW_TRACKING_URI=small.uri)
    assert "tracking.experiment=digits does not exist" in one_line(result)
    assert result.returncode == 1


def test_a_bad_target_is_one_line(tmp_path):
    assert "target must be one of generalization_gap," in one_line(
        run(tmp_path, "-m", "multirun_analysis", "target=gap")
    )


def test_an_unknown_key_is_refused_by_name(tmp_path):
    result = run(tmp_path, "-m", "multirun_analysis", "trakcing.uri=x")
    assert result.returncode != 0
    assert "trakcing" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_the_keys_and_loads_nothing_heavy(tmp_path):
    script = (
        "import sys, atexit; from multirun_analysis.__main__ import main; "
        "heavy = {'pandas', 'mlflow', 'matplotlib', 'scipy'}; "
        "atexit.register(lambda: print('heavy:', *sorted(heavy & set(sys.modules)))); "
        "main()"
    )
    result = run(tmp_path, "-c", script, "--help")
    assert result.returncode == 0, result.stderr
    for key in (
        "tracking.uri",
        "tracking.experiment",
        "tracking.ui_url",
        "sweep",
        "where.KEY",
        "measures",
        "group",
        "target",
    ):
        assert key in result.stdout
    assert result.stdout.splitlines()[-1] == "heavy:"


def test_a_list_needs_no_brackets_and_a_filter_no_plus(planted, tmp_path):
    result = run(
        tmp_path, "-m", "multirun_analysis", f"tracking.uri={planted.uri}", "where.model.width=64,256",
        "where.noise.level=<0.3", "measures=distance_from_init,param_norm", "group=dataset.train_size",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (
        "24 of 24 runs used, 8 configurations; varied: n, width, p. 30 further runs do not meet the filter."
        in result.stdout
    )
    assert "Not logged to MLflow: a filter leaves part of the sweep out" in result.stdout
    assert "Within groups of equal n, it is undecided whether the generalization gap" in result.stdout
    assert "goes with the distance: 2 groups are too few to say how slopes differ between groups" in result.stdout


def test_a_second_call_says_that_nothing_has_changed(planted, reported):
    folder, first = reported
    second = run(folder, "-m", "multirun_analysis", f"tracking.uri={planted.uri}", "out='my reports'")
    assert "Nothing has changed" not in first.stdout
    assert "Nothing has changed since this report was written" in second.stdout
    again = [line for line in second.stdout.splitlines() if "Nothing has changed" not in line]
    assert [*again, "no torch"] == first.stdout.splitlines()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("where.model.widht=64", "; did you mean model.width?"),
        ("where.model.width=65", "where.model.width=65 matches no network: there is 16, 64, 256"),
        ("where.model.width=<x", "where.model.width=<x: < must be followed by a number, got 'x'"),
        ("measures=parm_norm", "; did you mean param_norm?"),
        ("where.x.y=64", "where.x.y: x.y is none of the config keys of these networks: "),
        ("group=model.depth", "group: model.depth is none of the config keys that vary among these networks:"),
        ("target=test_eror", "generalization_gap_noisy, test_error, got 'test_eror'; did you mean test_error?"),
        ("tracking.ui_url=localhost", "tracking.ui_url must begin with http:// or https://, got 'localhost'"),
        ("tracking.experiment=initdist,initdist", "tracking.experiment must name each experiment once"),
        ("tracking.experiment=initdits", "It holds: Default, initdist; did you mean initdist?"),
    ],
)  # fmt: skip
def test_bad_values_are_answered_in_one_line_with_what_there_is(planted, argument, message):
    arguments = [] if argument.startswith("tracking.experiment") else ["tracking.experiment=initdist"]
    assert message in refusal([f"tracking.uri={planted.uri}", *arguments, argument])


def refusal(arguments: list[str]) -> str:
    """The one line of an analysis that is refused."""
    register()
    with initialize_config_dir(f"{conf_dir()}/{FOLDER}", version_base="1.3"):
        config = OmegaConf.to_object(compose("analysis", unswept(arguments)))

    def refused() -> None:
        validate(config)
        analyze(config, "/nonexistent")

    with pytest.raises(AnalysisError) as error:
        refused()
    assert "\n" not in str(error.value)
    return str(error.value)


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("moment", ["starting", "at its figures"])
def test_ctrl_c_ends_it_in_one_line(planted, tmp_path, moment):
    """Also where the second process is still starting."""
    command = [sys.executable, "-m", "multirun_analysis", f"tracking.uri={planted.uri}", f"out={tmp_path}/out"]

    def heed() -> None:  # as from a terminal: the second process gets it too
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    begun = {"starting": lambda: _children(process.pid), "at its figures": (tmp_path / "out").exists}
    deadline = time.monotonic() + 60
    while not begun[moment]() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.endswith("initdist: interrupted: the same command makes the report anew\n")
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "report.html").exists()
