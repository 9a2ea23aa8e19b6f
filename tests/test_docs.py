"""The documentation as a site: built strictly, its notebooks run, its reference made from the code."""

from __future__ import annotations

import os
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
