"""The built wheel, in an environment of its own, from any directory."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import initdist
from tests.command import TINY

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    """Folder of the console scripts of an environment that holds the wheel and shares our dependencies alone."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("initdist-*.whl")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run(
        [*pip, "--python", folder / "env", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True
    )
    return folder / "env" / "bin"


def call(scripts: Path, folder: Path, *command: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW_TRACKING"))}
    done = subprocess.run(
        [scripts / command[0], *command[1:]],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_trains_and_analyzes_with_the_configs_inside(scripts, tmp_path):
    for script in ("initdist-train", "initdist-measure", "initdist-analyze"):
        assert call(scripts, tmp_path, script, "--version") == f"initdist {initdist.__version__}\n"
    where = call(scripts, tmp_path, "python", "-c", "from initdist.paths import conf_dir; print(conf_dir())").strip()
    assert where.startswith(str(scripts.parent))
    assert where.endswith("initdist/conf")
    printed = call(scripts, tmp_path, "initdist-train", "-m", "model.width=4,8", "seed=0,1", "stop.train_loss=0", *TINY)
    assert "2 jobs of 2 networks (4 in all); 4 to train" in printed
    assert "4 networks: 4 finished" in printed
    assert "4 had everything" in call(scripts, tmp_path, "initdist-measure", "measures=core")  # by the catalogue inside
    assert "it is undecided whether the gen" in call(scripts, tmp_path, "initdist-analyze", "out=reports")
    assert (tmp_path / "reports" / "report.html").is_file()


def test_completes_keys_at_the_tab(scripts, tmp_path):
    line = "initdist-train model.wid"
    query = ["bash", "-c", f"{scripts / 'initdist-train'} -sc query=bash"]
    done = subprocess.run(
        query,
        cwd=tmp_path,
        env={**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "model.width=" in done.stdout
