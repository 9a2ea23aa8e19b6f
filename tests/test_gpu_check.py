"""The check for GPUs, rehearsed on the CPU: no step of it is untried where a GPU is met."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from initdist.paths import conf_dir

BENCHMARKS = Path(conf_dir()).parent / "benchmarks"


@pytest.fixture(name="modules")
def _modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "plain", raising=False)  # the tests have a module of that name too
    return {name: importlib.import_module(name) for name in ("gpu_check", "gpu_bundle", "results")}


def test_every_step_works_on_a_cpu(tmp_path: Path, modules: dict[str, ModuleType]) -> None:
    environment = {**os.environ, "INITDIST_GPU_CHECK": "cpu", "OUT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "gpu_check.py"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    log = (tmp_path / "gpu_check.log").read_text()
    assert done.returncode == 0, done.stdout + log
    steps = json.loads((tmp_path / modules["gpu_check"].REHEARSAL).read_text())["steps"]
    assert list(steps) == [step.name for step in modules["gpu_check"].STEPS]
    assert "skipped" in steps["tests"]["found"]["summary"]  # they need a GPU
    assert steps["main_job"]["found"]["distance_apart"].keys()
    assert set(steps["main_job"]["found"]["distance_apart"].values()) == {0.0}  # twice on the same device
    assert {row["stack"] for row in steps["steps"]["found"]["rows"]} == {1, 3}
    assert (steps["grid"]["found"]["networks"], len(steps["grid"]["found"]["jobs"])) == (8, 2)
    assert any(row["function"] == "epochs.run" for row in steps["grid"]["found"]["profile"])
    rows = {row["numerics"]: row for row in steps["numerics"]["found"]["rows"]}
    assert rows["float32"]["train_loss"] == pytest.approx(rows["bfloat16"]["train_loss"], rel=0.02)
    assert f"| {'grid'} | ok |" in done.stdout
    assert modules["gpu_check"].table(steps) in done.stdout
    assert len(list(tmp_path.iterdir())) <= 8


def test_a_step_that_fails_or_takes_too_long_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: dict[str, ModuleType]
) -> None:
    check = modules["gpu_check"]
    monkeypatch.setenv("OUT", str(tmp_path))
    (tmp_path / check.REHEARSAL).write_text(json.dumps({"device": "cpu", "steps": {"grid": {"status": "ok"}}}))
    steps = [check.Step("unknown", 30, ""), check.Step("main_job", 5, ""), check.Step("machine", 60, "")]
    monkeypatch.setattr(check, "table", lambda results: "")
    assert check.check(steps, "cpu", check.environment()) == check.FAILED
    assert not (tmp_path / check.FILE).exists()  # a GPU's results are not a rehearsal's
    found = json.loads((tmp_path / check.REHEARSAL).read_text())["steps"]
    assert {name: one["status"] for name, one in found.items()} == {
        "grid": "ok",
        "unknown": "failed: exit code 1",
        "main_job": "failed: not done after 5 s",
        "machine": "ok",
    }


def test_without_a_gpu_one_line_says_so(modules: dict[str, ModuleType]) -> None:
    if modules["gpu_check"].gpus():
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, BENCHMARKS / "gpu_check.py"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines() == [
        "gpu-check: no CUDA device was found; INITDIST_GPU_CHECK=cpu rehearses the steps on the CPU"
    ]


def wheel(folder: Path, name: str, *needs: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as made:
        lines = [f"Name: {name}", *[f"Requires-Dist: {need}" for need in needs]]
        made.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))


def test_a_bundle_lacks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = modules["gpu_bundle"]
    monkeypatch.setattr(bundle, "_own_needs", lambda: ["one", "numpy>=2"])
    wheel(tmp_path, "one", "two>=1", 'other; python_version < "3.12"', "nvidia-cublas", 'extra; extra == "x"')
    with pytest.raises(SystemExit, match=r"one-1\.0-py3-none-any\.whl needs two>=1, which is neither in"):
        bundle.prove_closed(tmp_path, {"numpy"})
    wheel(tmp_path, "two")
    bundle.prove_closed(tmp_path, {"numpy"})
    assert "every need of 2 wheels" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="initdist needs numpy>=2, which is neither in"):
        bundle.prove_closed(tmp_path, set())
    wheel(tmp_path, "three", "two>1.0")
    with pytest.raises(SystemExit, match=r"needs two>1\.0, and there is two 1\.0"):
        bundle.prove_closed(tmp_path, {"numpy"})


def test_the_results_take_a_check_in(modules: dict[str, ModuleType]) -> None:
    found = {"machine": {"device": "GPU", "cores": 4, "torch": "2", "python": "3", "date": "today"}, "summary": "fast"}
    shown = modules["results"].on_gpu(
        {
            "machine": {"status": "ok", "seconds": 1.0, "found": found | {"code": "abc"}},
            "tests": {"status": "failed: 1", "seconds": 2.0, "found": {"summary": "1 failed", "failed": ["test_x"]}},
            "grid": {"status": "ok", "seconds": 3.0, "found": {"summary": "-", "targets": [
                {"name": "grid", "wanted": "<= 60 s", "measured": "50 s", "verdict": "met"}]}},
        }
    )  # fmt: skip
    assert "| machine | ok | 1 | fast |" in shown
    assert "- `test_x`" in shown
    assert "| grid | <= 60 s | 50 s | met |" in shown
    assert "machine abc, tests not recorded" in shown
