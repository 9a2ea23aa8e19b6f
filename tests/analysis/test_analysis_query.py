"""From a real store to one tidy frame, and what is left out of it."""

from __future__ import annotations

import math
import sqlite3
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import multirun_analysis
from initdist import names
from initdist.tracking import reader
from multirun_analysis import AnalysisError, load_runs
from multirun_analysis.runs import read as query
from multirun_analysis.runs.exclusions import counts, counts_by_cell, exclude, require_some, with_unconverged
from multirun_analysis.runs.read import read_histories, read_networks, read_records


def excluded(messy):
    frame = load_runs(messy.uri, excluded=True)
    return frame.set_index("run_id")


def test_every_network_is_one_row_with_typed_params(planted):
    frame = load_runs(planted.uri)
    assert len(frame) == len(planted.runs) == 54
    assert set(frame["run_id"]) == set(planted.run_ids)
    assert frame["model.width"].dtype == np.int64
    assert frame["noise.level"].dtype == np.float64
    assert frame["seed"].dtype == np.int64
    assert set(frame["model.bias"]) == {"true"}
    assert set(frame["model.name"]) == {"mlp"}
    assert frame[names.DISTANCE].dtype == np.float64
    expected = {run_id: run.metrics[names.GAP] for run_id, run in zip(planted.run_ids, planted.runs, strict=True)}
    assert frame.set_index("run_id")[names.GAP].to_dict() == pytest.approx(expected)


@pytest.fixture
def through_client(monkeypatch):
    """As with a store whose tables are not those that are read directly."""
    monkeypatch.setitem(reader.COLUMNS, "runs", {"a column of another version"})
    with patch.object(reader.FromClient, "rows", autospec=True, side_effect=reader.FromClient.rows) as rows:
        yield
    assert rows.called


@pytest.mark.parametrize("store", ["planted", "messy"])
def test_tables_and_client_give_the_same(store, request):
    uri = request.getfixturevalue(store).uri
    direct = read_records(uri, "initdist")
    networks = read_networks(uri, "initdist")
    histories = read_histories(uri, networks.frame["run_id"].tolist(), [names.DISTANCE, names.GAP])
    request.getfixturevalue("through_client")
    other = read_records(uri, "initdist")
    assert other.digest() == direct.digest()
    found = read_networks(uri, "initdist")
    pd.testing.assert_frame_equal(found.frame, networks.frame)
    assert (found.source, found.params, found.metrics) == (networks.source, networks.params, networks.metrics)
    pd.testing.assert_frame_equal(
        read_histories(uri, networks.frame["run_id"].tolist(), [names.DISTANCE, names.GAP]), histories
    )


def test_pages_are_followed_and_the_order_is_stable(planted, monkeypatch, through_client):
    whole = load_runs(planted.uri)
    monkeypatch.setattr(reader, "PAGE", 7)
    pd.testing.assert_frame_equal(load_runs(planted.uri), whole)
    order = whole[["dataset.train_size", "model.width", "noise.level", "seed"]]
    pd.testing.assert_frame_equal(order.sort_values(list(order.columns), ignore_index=True), order)


@pytest.mark.parametrize(
    ("run", "reason", "detail"),
    [
        ("running", "unfinished", "status RUNNING"),
        ("failed", "unfinished", "status FAILED"),
        ("killed", "unfinished", "status KILLED"),
        ("diverged", "diverged", ""),
        ("unconverged", "not converged", ""),
        ("gap is nan", "no finite target", "generalization_gap"),
        ("distance is infinite", "no finite distance", "distance_from_init"),
        ("no distance", "no finite distance", "distance_from_init"),
        ("sole converged", "in a cell with too few converged", ""),
        ("width no number", "invalid", "model.width='wide' is not a number"),
        ("width absent", "invalid", "model.width is missing"),
        ("no identity", "invalid", "no tag initdist.identity"),
        ("no stop reason", "invalid", "no tag initdist.stop_reason"),
        ("again", "", ""),
        ("fixed", "", ""),
    ],
)
def test_each_bad_run_has_its_reason(messy, run, reason, detail):
    row = excluded(messy).loc[messy.by_name[run]]
    assert (row["excluded"], row["excluded_detail"]) == (reason, detail)


def test_of_duplicates_the_latest_finished_stays(messy):
    frame = excluded(messy)
    assert frame.loc[messy.good[0], "excluded"] == "duplicate"
    assert frame.loc[messy.by_name["again"], names.DISTANCE] == 9.0
    assert (frame.loc[messy.good[1:], "excluded"] == "").all()


def test_counts_add_up_and_name_the_cell(messy):
    networks = exclude(read_networks(messy.uri, "initdist"), names.GAP)
    found = counts(networks)
    assert found == {
        "unfinished": 3,
        "duplicate": 1,
        "invalid": 4,
        "diverged": 1,
        "no finite target": 1,
        "no finite distance": 2,
        "not converged": 1,
        "in a cell with too few converged": 1,
    }
    assert len(networks.used) + sum(found.values()) == len(networks.frame) == 25
    cells = counts_by_cell(networks)
    assert sum(sum(cell["left_out"].values()) for cell in cells) == sum(found.values())
    wide = next(cell for cell in cells if cell["cell"]["model.width"] == 256)
    assert wide["used"] == 0
    assert wide["left_out"]["diverged"] == 1
    assert networks.source.other_runs == 1


def test_infinity_comes_back_from_the_store(messy):
    frame = excluded(messy)
    assert frame.loc[messy.by_name["distance is infinite"], names.DISTANCE] == math.inf


def test_the_sensitivity_adds_what_missed_the_threshold_and_its_cell(messy):
    networks = exclude(read_networks(messy.uri, "initdist"), names.GAP)
    added = set(with_unconverged(networks)["run_id"]) - set(networks.used["run_id"])
    assert added == {messy.by_name["unconverged"], messy.by_name["sole converged"]}


def test_a_cell_stays_at_four_of_five_converged_and_goes_below():
    frame = pd.DataFrame(
        {
            "status": "FINISHED",
            "start_time": 0,
            "end_time": 0,
            "run_id": [str(i) for i in range(10)],
            "identity": [str(i) for i in range(10)],
            "invalid": "",
            "stop_reason": ["threshold"] * 4 + ["max_epochs"] + ["threshold"] * 3 + ["max_epochs", "diverged"],
            "model.width": [16] * 5 + [32] * 5,
            "stop.train_loss": 0.01,
            names.GAP: 0.1,
            names.DISTANCE: 1.0,
        }
    )
    networks = query.Networks(frame, ("model.width", "stop.train_loss"), (), query.Source("", ""))
    used = exclude(networks, names.GAP).used
    assert used["run_id"].tolist() == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("reason", "params", "used"),
    [
        ("threshold", {}, True),
        ("margin", {"stop.fraction": 0.9}, True),
        ("error", {"stop.train_error": 0.1}, True),
        ("max_epochs", {}, False),
        ("max_epochs", {"stop.train_loss": 0.0}, True),
        ("max_epochs", {"stop.train_loss": 0.0, "stop.fraction": 0.9}, False),
        ("max_epochs", {"stop.train_loss": 0.0, "stop.train_error": 0.1}, False),
        ("max_epochs", {"stop.train_loss": 0.0, "stop.fraction": math.nan}, True),
    ],
)
def test_whoever_met_a_criterion_or_had_none_has_converged(reason, params, used):
    row = {
        "status": "FINISHED",
        "start_time": 0,
        "end_time": 0,
        "run_id": "0",
        "identity": "0",
        "invalid": "",
        "stop_reason": reason,
        "stop.train_loss": 0.01,
        "stop.fraction": 0.0,
        "stop.train_error": math.nan,
        names.GAP: 0.1,
        names.DISTANCE: 1.0,
    }
    networks = query.Networks(pd.DataFrame([row | params]), tuple(params), (), query.Source("", ""))
    assert len(exclude(networks, names.GAP).used) == used


def test_each_target_has_its_own_exclusions(messy):
    frame = load_runs(messy.uri, target=names.TEST_ERROR, excluded=True).set_index("run_id")
    assert frame.loc[messy.by_name["no distance"], "excluded"] == "no finite target"
    assert frame.loc[messy.by_name["gap is nan"], "excluded_detail"] == names.TEST_ERROR


def test_a_sweep_holds_the_networks_that_its_list_names(messy):
    frame = load_runs(messy.uri, sweep="second")
    assert sorted(frame["run_id"]) == sorted([messy.by_name["again"], messy.by_name["fixed"]])
    assert read_networks(messy.uri, "initdist", "second").source.missing == 1
    assert read_networks(messy.uri, "initdist").source.parent_run is None


def test_one_sweep_that_covers_the_experiment_is_found_by_itself(planted):
    source = read_networks(planted.uri, "initdist").source
    assert (source.sweep, source.parent_run, source.missing) == ("abc123", planted.parent, 0)


def test_an_unknown_sweep_is_answered_with_those_that_exist(messy):
    with pytest.raises(AnalysisError, match=r"sweep=nope is not in tracking.experiment=initdist. It holds: unlisted, "):
        load_runs(messy.uri, sweep="nope")


def test_a_sweep_without_a_list_or_network_says_so(messy):
    with pytest.raises(AnalysisError, match=r"sweep=unlisted has no network in tracking.experiment=initdist yet"):
        load_runs(messy.uri, sweep="unlisted")


def test_a_missing_experiment_is_answered_with_those_that_exist(small):
    with pytest.raises(AnalysisError) as error:
        load_runs(small.uri, "digits")
    assert f"tracking.experiment=digits does not exist in {small.uri}" in str(error.value)
    assert "It holds: Default, empty, one-configuration, one-seed" in str(error.value)


def test_an_empty_experiment_says_how_to_fill_it(small):
    with pytest.raises(AnalysisError, match=r"tracking.experiment=empty .* holds no network \(0 runs\): train some"):
        load_runs(small.uri, "empty")


def test_nothing_usable_is_said_with_its_reasons(messy):
    networks = exclude(read_networks(messy.uri, "initdist"), "no_such_metric")
    with pytest.raises(AnalysisError, match=r"none of the 25 runs can be used: 3 unfinished, 1 duplicate, 4 invalid"):
        require_some(networks, "no_such_metric")


def test_a_missing_sqlite_file_is_not_created(tmp_path):
    path = tmp_path / "absent" / "mlflow.db"
    with pytest.raises(AnalysisError, match=f"there is no file {path}"):
        load_runs(f"sqlite:///{path}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "mlflow.db"
    text.write_text("no database, only words " * 100)
    with pytest.raises(AnalysisError, match=r"cannot be read as an SQLite store: file is not a database"):
        load_runs(f"sqlite:///{text}")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(AnalysisError, match="is not an MLflow store"):
        load_runs(f"sqlite:///{other}")
    assert other.read_bytes() == before


def test_a_path_is_no_uri():
    with pytest.raises(AnalysisError, match=r"tracking.uri must be a URI such as .*, got 'mlflow.db'"):
        load_runs("mlflow.db")


def test_the_default_store_lies_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnalysisError, match=f"there is no file {tmp_path / 'mlflow.db'}"):
        multirun_analysis.load_runs()


def test_histories_come_sorted_by_step(planted):
    frame = read_histories(planted.uri, planted.run_ids[:2], [names.DISTANCE])
    assert frame["run_id"].unique().tolist() == planted.run_ids[:2]
    first = frame[frame["run_id"] == planted.run_ids[0]]
    assert first["step"].tolist() == [0, 1, 3, 10, 30, 100]
    assert first["value"].iloc[-1] == pytest.approx(planted.runs[0].metrics[names.DISTANCE])
    assert first["value"].iloc[3] == pytest.approx(planted.runs[0].metrics[names.DISTANCE] * math.sqrt(0.1))
