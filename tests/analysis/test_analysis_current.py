"""A report is kept while it is current, and written anew whatever it rests on changes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from mlflow.entities import Metric
from worlds import Store, planted_slope

from initdist import names
from multirun_analysis import session as run
from multirun_analysis import uptodate
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.session import CURRENT, analyze


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    runs = planted_slope(widths=(16, 64), sizes=(160,), noises=(0.0, 0.2), seeds=2)
    store.run_ids = store.add(runs)
    store.parent = store.add_sweep("abc123", [planted.tags()[names.IDENTITY] for planted in runs])
    return store


@pytest.fixture
def config(store, tmp_path):
    settings = AnalysisConfig(Tracking(store.uri), out=str(tmp_path / "out"))
    assert not kept(settings)
    assert kept(settings)
    return settings


def kept(config: AnalysisConfig) -> bool:
    outcome = analyze(config, "/nonexistent")
    assert (CURRENT in outcome.lines) == (outcome.report is None)
    return outcome.report is None


def execute(store: Store, statement: str, *values: object) -> None:
    """A change behind MLflow's back, that leaves no time of an update."""
    with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


CHANGES = {
    "a measure computed later": lambda s: s.client.log_metric(s.run_ids[0], names.measure("new"), 1.0),
    "a metric logged again": lambda s: s.client.log_batch(s.run_ids[0], [Metric(names.GAP, 0.5, 9_999, 200)]),
    "a last value edited": lambda s: execute(
        s, "UPDATE latest_metrics SET value = value + 1e-9 WHERE key = ? AND run_uuid = ?", names.GAP, s.run_ids[0]
    ),
    "a tag edited": lambda s: s.client.set_tag(s.run_ids[0], names.STOP_REASON, "max_epochs"),
    "a run renamed": lambda s: s.client.update_run(s.run_ids[0], name="another"),
    "a run deleted": lambda s: s.client.delete_run(s.run_ids[0]),
    "a run added": lambda s: s.add([planted_slope()[0]]),
    "a run's status": lambda s: s.client.update_run(s.run_ids[0], status="FAILED"),
    "a param edited": lambda s: execute(
        s, "UPDATE params SET value = '17' WHERE key = 'model.width' AND run_uuid = ?", s.run_ids[0]
    ),
    "the list of a sweep": lambda s: s.client.log_dict(s.parent, {"networks": []}, names.NETWORKS_FILE),
    "a history edited": lambda s: execute(
        s, "UPDATE metrics SET value = value * 1.5 WHERE key = ? AND step = 3", names.DISTANCE
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_in_the_store_makes_a_new_report(store, config, change):
    CHANGES[change](store)
    assert not kept(config)
    assert kept(config)


def test_a_run_deleted_and_restored_is_the_same_store(store, config):
    store.client.delete_run(store.run_ids[0])
    store.client.restore_run(store.run_ids[0])
    assert kept(config)


def test_other_settings_other_code_and_lost_files_make_a_new_report(config, monkeypatch, tmp_path):
    assert not kept(replace(config, target=names.GAP))
    assert not kept(config)
    assert not kept(replace(config, refresh=True))
    (tmp_path / "out" / "figures" / "distance_against_width.svg").unlink()
    assert not kept(config)
    (tmp_path / "out" / "report.md").write_text("edited")
    assert not kept(config)
    monkeypatch.setattr(uptodate, "versions", lambda: {"numpy": "another"})
    assert not kept(config)


def cut_off(*_: object) -> None:
    """At the top, since the second process that is to call it finds it by name."""
    raise ZeroDivisionError


def test_an_analysis_that_is_cut_off_is_never_taken_for_current(config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run, "_log", cut_off)
        with pytest.raises(ZeroDivisionError):
            analyze(replace(config, refresh=True), "/nonexistent")
    assert not kept(config)
