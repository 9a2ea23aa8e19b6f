"""The sweep, end to end: command line -> processes -> store, and the same command again."""

import json
from pathlib import Path

import pytest

from tests import command
from tests.command import TINY, by_identity, client, in_process, runs, train, with_store

GRID = ("-m", "model.width=4,8", "seed=range(0,2)", "noise.level=0,0.5", *TINY)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder in which the grid has been trained, and what the command printed."""
    folder = tmp_path_factory.mktemp("swept")
    return folder, train(folder, *GRID).stdout


def test_says_what_it_will_do_and_what_it_did(swept):
    _, printed = swept
    assert "2 jobs of 4 networks (8 in all); 8 to train, 0 finished before" in printed
    assert (
        "8 networks: 8 finished (0 diverged, 8 at stop.max_epochs without reaching their stopping rule), "
        "0 skipped (finished before), 0 failed, in "
    ) in printed


def test_one_finished_run_a_network_under_one_parent(swept):
    folder, _ = swept
    (parent,) = runs(folder, "sweep")
    children = runs(folder)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["sweep/finished"] == parent.data.metrics["sweep/unconverged"] == 8
    assert len(children) == 8
    assert {one.info.status for one in children} == {"FINISHED"}
    assert {one.data.tags["mlflow.parentRunId"] for one in children} == {parent.info.run_id}
    assert {one.info.run_name for one in children} == {
        f"mlp w{w} n96 p{p} s{s}" for w in (4, 8) for p in ("0", "0.5") for s in (0, 1)
    }


def test_the_parent_lists_every_network(swept):
    folder, _ = swept
    (parent,) = runs(folder, "sweep")
    listed = json.loads(
        Path(client(folder).download_artifacts(parent.info.run_id, "networks.json", str(folder))).read_text()
    )
    assert {one["identity"] for one in listed["networks"]} == set(by_identity(folder))
    assert listed["sweep"] == parent.data.tags["initdist.sweep"]


def test_a_run_holds_params_metrics_history_data_and_weights(swept):
    from safetensors import safe_open

    folder, _ = swept
    one = next(r for r in runs(folder) if r.info.run_name == "mlp w8 n96 p0.5 s1")
    assert one.data.params["model.width"] == "8"
    assert one.data.params["noise.level"] == "0.5"
    assert one.data.params["seeds.init"] == one.data.params["seed"] == "1"
    assert not any(key.startswith(("tracking.", "device", "dataset.root", "vary")) for key in one.data.params)
    metrics = one.data.metrics
    assert metrics["steps"] == 2 * 3  # 96 samples in batches of 40: two full ones and a partial one
    assert metrics["epochs"] == 2
    assert metrics["generalization_gap"] == pytest.approx(metrics["test_error"] - metrics["train_error"])
    noisy = 0.5 * metrics["test_error"] + 0.5 * 0.9 - metrics["train_error"]
    assert metrics["generalization_gap_noisy"] == pytest.approx(noisy)
    assert metrics["measure/distance_over_sqrt_n"] == pytest.approx(metrics["distance_from_init"] / 96**0.5)
    history = client(folder).get_metric_history(one.info.run_id, "distance_from_init")
    assert [point.step for point in history] == [0, 3, 6]
    assert history[0].value == 0
    assert history[-1].value == metrics["distance_from_init"]
    assert {d.tags[0].value for d in one.inputs.dataset_inputs} == {"training", "test"}
    assert {d.dataset.name for d in one.inputs.dataset_inputs} == {"digits-train", "digits-test"}
    assert one.data.tags["initdist.stop_reason"] == "max_epochs"
    assert one.data.tags["initdist.converged"] == "false"
    file = client(folder).download_artifacts(one.info.run_id, "weights.safetensors", str(folder))
    with safe_open(file, "pt") as weights:
        assert weights.get_tensor("1.weight").shape == (8, 64)


def test_the_closing_line_counts_those_that_missed_their_rule_as_the_analysis_does(tmp_path):
    """Of four networks one reaches its threshold, one has none, one misses its own and one diverges."""
    from multirun_analysis import load_runs

    short = ("model.width=4", *TINY)
    printed = in_process(with_store(tmp_path), "-m", "stop.train_loss=1000,0,1e-6", *short).stdout
    assert "3 networks: 3 finished (0 diverged, 1 at stop.max_epochs without reaching its stopping rule), 0 " in printed
    printed = in_process(tmp_path, "optimizer.lr=1e30", "stop.train_loss=0.01", *short).stdout
    assert "1 network: 1 finished (1 diverged), 0 skipped" in printed
    frame = load_runs(f"sqlite:///{tmp_path / 'mlflow.db'}", excluded=True).set_index("stop.train_loss")
    assert frame["converged"].to_dict() == {1000.0: "true", 0.0: "fixed", 1e-6: "false", 0.01: "false"}
    assert frame["excluded"].to_dict() == {1000.0: "", 0.0: "", 1e-6: "not converged", 0.01: "diverged"}


def test_the_same_command_again_trains_nothing_and_keeps_its_parent(swept):
    folder, _ = swept
    printed = in_process(folder, *GRID).stdout
    assert "0 to train, 8 finished before: nothing to train (resume=false trains them again)" in printed
    assert "0 finished (0 diverged), 8 skipped" in printed
    assert len(runs(folder)) == 8
    assert len(runs(folder, "sweep")) == 1


def test_what_is_deleted_is_trained_again_exactly_and_equal_bit_for_bit(swept):
    folder, _ = swept
    before = by_identity(folder)
    gone = sorted(before)[:3]
    for identity in gone:
        client(folder).delete_run(before[identity].info.run_id)
    assert "3 to train, 5 finished before" in in_process(folder, *GRID).stdout
    after = by_identity(folder)
    assert after.keys() == before.keys()
    assert {i for i in after if after[i].info.run_id != before[i].info.run_id} == set(gone)
    assert {i: after[i].data.metrics for i in after} == {i: before[i].data.metrics for i in before}


def test_resume_false_trains_anew(tmp_path):
    one = ("model.width=4", *TINY)
    in_process(with_store(tmp_path), *one)
    assert "1 network: 0 finished (0 diverged), 1 skipped" in in_process(tmp_path, *one).stdout
    assert "1 network: 1 finished" in in_process(tmp_path, *one, "resume=false").stdout
    first, second = runs(tmp_path)
    assert first.data.metrics == second.data.metrics


@pytest.mark.parametrize(
    ("way", "how"),
    [
        (in_process, ("hydra.sweeper.fuse=false",)),
        (in_process, ("device=auto", "workers=1", "history=0", "tracking.save_weights=false")),
        (train, ("hydra/launcher=joblib",)),
    ],
    ids=["unfused", "other machine settings", "joblib"],
)
def test_the_same_networks_however_they_are_trained(swept, tmp_path, way, how):
    folder, _ = swept
    # In the same store nothing is left to do; in a fresh one the results are equal bit for bit.
    assert "8 networks, 0 to train, 8 finished before" in in_process(folder, *GRID, *how, "dry_run=true").stdout
    grid = ("-m", "model.width=4,8", "seed=0", "noise.level=0.5", *TINY, *how)
    assert "2 networks: 2 finished" in way(with_store(tmp_path), *grid).stdout
    swept_runs, found = by_identity(folder), by_identity(tmp_path)
    assert len(found) == 2  # in the store of the starting folder, whatever the launcher
    for identity, one in found.items():
        assert one.data.metrics == swept_runs[identity].data.metrics
        assert one.data.tags["initdist.theta0"] == swept_runs[identity].data.tags["initdist.theta0"]


def test_a_single_run_is_the_network_of_the_sweep(swept, tmp_path):
    folder, _ = swept
    in_process(with_store(tmp_path), "model.width=8", "seed=1", "noise.level=0.5", *TINY)
    ((identity, one),) = by_identity(tmp_path).items()
    assert one.data.metrics == by_identity(folder)[identity].data.metrics
    assert len(runs(tmp_path, "sweep")) == 1


def test_dry_run_lists_and_leaves_nothing(tmp_path):
    moment = "tracking.experiment=at-${now:%H-%M-%S-%f}"  # the same in both jobs
    printed = in_process(tmp_path, "-m", "model.width=4,8", "seed=0,1", moment, *TINY, "dry_run=true").stdout
    assert "2 jobs of 2 networks (4 in all)" in printed
    assert "mlp w8 n96 p0 s1" in printed
    assert "dry run: 4 networks, 4 to train, 0 finished before" in printed
    assert not (tmp_path / "mlflow.db").exists()


def test_an_experiment_file_sweeps_and_the_command_line_wins(tmp_path):
    printed = in_process(tmp_path, "experiment=width", "seed=0,1", "model.width=4,8", "dry_run=true").stdout
    assert "2 jobs of 6 networks (12 in all)" in printed
    assert "mlp w4 n1280 p0.25 s1" in printed


def test_the_ui_is_a_command(tmp_path):
    assert command.run(tmp_path, "initdist.ui", "--help").stdout.startswith("usage: initdist.ui")
