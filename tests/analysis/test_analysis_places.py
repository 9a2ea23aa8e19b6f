"""The analysis of stores that were moved, or that one may only read: where its files are logged, and what is said."""

from dataclasses import replace

import pytest
from worlds import Planted, Store, metrics

from initdist import names
from multirun_analysis import session
from multirun_analysis.runs.read import Source, networks_of, read_records


@pytest.fixture
def moved(tmp_path):
    """A sweep whose store was moved with its files, and where the files of the sweep's run are now."""
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    store = Store(before)
    one = Planted({"model.width": 16}, metrics(4, 0.1), 0, sweep="abc123")
    store.add([one])
    parent = store.add_sweep("abc123", [one.tags()[names.IDENTITY]])
    before.rename(now)
    uri = f"sqlite:///{now / 'mlflow.db'}"
    return networks_of(
        read_records(uri, "initdist"), Source(uri, "initdist")
    ).source, now / "files" / parent / "artifacts"


def test_what_is_logged_goes_beside_the_store_where_the_rest_is(moved, tmp_path):
    source, here = moved
    assert source.sweep == "abc123"
    assert not source.notes  # its list of networks is found
    (tmp_path / "figures").mkdir()
    files = [tmp_path / "report.md", tmp_path / "figures" / "one.svg"]
    for file in files:
        file.write_text("text")
    assert session._unlogged([source], source.uri) == ""
    assert session._log(source, files, source.uri, tmp_path, "what it found") == (
        True,
        "Logged to the run of sweep abc123 under analysis/",
    )
    assert sorted(file.relative_to(here).as_posix() for file in here.rglob("*.*")) == [
        "analysis/figures/one.svg",
        "analysis/report.md",
        names.NETWORKS_FILE,
    ]


def test_what_cannot_be_logged_is_said_and_nothing_is_made(moved, tmp_path, monkeypatch):
    source, here = moved
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    assert session._unlogged([source], source.uri) == f"Not logged to MLflow: this user may not write to {here}"
    away = replace(source, parent_files=f"file://{tmp_path}/gone/{'0' * 32}/artifacts")
    said = session._unlogged([away], source.uri)
    assert said == f"Not logged to MLflow: the files of the sweep are not in {tmp_path}/gone/{'0' * 32}/artifacts"
    assert not (tmp_path / "gone").exists()
    assert session.folder_of("http://host:5000", source.parent_files) is None
