"""The documentation as a site: built strictly, its notebooks run, its reference made from the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from initdist import names
from initdist.cli import compose
from initdist.paths import conf_dir

ROOT = Path(conf_dir()).parent


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_key_every_name_and_the_notebooks_results(site: Path) -> None:
    keys = (site / "reference" / "config" / "index.html").read_text()
    known = {key for key in compose.keys() if not key.startswith(("vary", "hydra", "experiment"))}  # noqa: SIM118 - a function
    for key in known - {key.rpartition(".")[0] for key in known}:
        assert f"<code>{key}</code>" in keys, key
    mlflow = (site / "reference" / "mlflow" / "index.html").read_text()
    for name in (names.DISTANCE, names.GAP_NOISY, names.IDENTITY, names.CONVERGED, names.WEIGHTS_FILE):
        assert f"<code>{name}</code>" in mlflow
    assert "from the initialization" in (site / "notebooks" / "width" / "index.html").read_text()
    assert "C1a undecided" in (site / "notebooks" / "league" / "index.html").read_text()


def test_every_key_has_a_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    import reference

    rows = [line.strip("| ").split(" | ") for line in reference.config().splitlines() if line.startswith("| `")]
    said = {row[0].strip("`*"): row[3] if len(row) > 3 else "" for row in rows}
    assert len(said) > 60
    assert [key for key, meaning in said.items() if not meaning and not key.endswith(".name")] == []


def _of_the_page(page: str, folder: Path) -> None:
    """The package that the page on own parts makes: each block of code, in the file that the text before it names."""
    for name in ("own_nets", "conf/model", "conf/dataset"):
        (folder / name).mkdir(parents=True)
    (folder / "own_nets/__init__.py").touch()
    toml = ""
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL):
        if kind == "toml":
            toml += text
        elif kind == "yaml":
            group = "model" if "schema/model" in text else "dataset"
            name = re.search(r"schema/model/(\w+)@|name: (\w+)", text)
            assert name is not None
            (folder / "conf" / group / f"{name[1] or name[2]}.yaml").write_text(text)
        elif kind == "python" and "def build" in text:
            (folder / "own_nets/bottleneck.py").write_text(text)
        elif kind == "python" and "def describe" in text:
            (folder / "own_nets/moons.py").write_text(text)
        elif kind == "python" and "@measure" in text:
            (folder / "own_nets/angles.py").write_text(text)
    (folder / "pyproject.toml").write_text(toml)


def test_the_package_of_the_page_on_own_parts_can_be_installed_and_trained(tmp_path: Path) -> None:
    """Without an index: its dependency is what is tested."""
    own, site = tmp_path / "own", tmp_path / "site"
    _of_the_page((ROOT / "docs/howto/own-parts.md").read_text(), own)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run([*uv, "--python", sys.executable, "--target", site, own], check=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    environment.pop("MLFLOW_TRACKING_URI", None)
    small = ("dataset.train_size=96", "stop.max_epochs=2", "seed=0,1", "dataset=moons")
    command = [sys.executable, "-m", "initdist.train", "--config-dir", own / "conf", "-m", *small]
    done = subprocess.run(
        [*command, "model=bottleneck", "model.narrow=2,8"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "4 networks: 4 finished" in done.stdout, done.stdout + done.stderr
