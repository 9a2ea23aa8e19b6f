"""initdist from Python: training in memory, and tracked networks back as modules."""

import sqlite3
import subprocess
import sys

import pandas.testing
import pytest
import torch

import initdist
import multirun_analysis
from initdist.errors import ConfigError, UserError
from tests.command import TINY, client, in_process, runs, with_store


def test_results_come_in_the_order_of_the_configs_whatever_their_shapes(capfd):
    configs = [
        *initdist.network_configs("model.width=4", "vary.seed=[0,1]", *TINY),
        *initdist.network_configs("model.width=5", "noise.level=0.5", *TINY),
        *initdist.network_configs("model.width=4", "seed=7", *TINY),
    ]
    results = initdist.train_networks(configs, device="cpu", workers=2)
    assert [(r.config.model.width, r.config.seed) for r in results] == [(4, 0), (4, 1), (5, 0), (4, 7)]
    assert [r.parameters["1.weight"].shape[0] for r in results] == [4, 4, 5, 4]
    assert all(r.stop_reason == "max_epochs" and r.metrics["distance_from_init"] > 0 for r in results)
    assert len({r.identity for r in results}) == 4
    assert [1 - r.correct.mean() for r in results] == pytest.approx([r.metrics["test_error"] for r in results])
    assert all(r.metrics["measure/param_norm"] > 0 for r in results)
    assert "mlp w4 n96: 3/3 networks" in capfd.readouterr().err


def test_tracked_results_are_those_of_the_store_and_what_has_finished_is_not_trained_again(tmp_path, capfd):
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    grid = ("model.width=4,5", "seed=range(0,3)", "noise.level=0,0.5")
    configs = initdist.network_configs(*grid, *TINY, "stop.train_loss=4", uri)
    for one in configs:
        one.checkpoint.dir = str(tmp_path / "checkpoints")
    first = initdist.train_networks([*configs, configs[0]], device="cpu", workers=2, track=True)
    assert "mlp w5 n96: 6/6 networks" in capfd.readouterr().err
    again = initdist.train_networks(configs, device="cpu", workers=2, track=True, progress=False)
    assert capfd.readouterr().err == ""
    assert [one.run_id for one in again] == [one.run_id for one in first[:-1]]
    assert first[-1].run_id == first[0].run_id
    plain = initdist.train_networks(configs, device="cpu", workers=2, progress=False)
    for tracked, free in zip(first, plain, strict=False):
        assert tracked.identity == free.identity
        assert {name: tracked.metrics[name] for name in free.metrics} == pytest.approx(free.metrics, rel=1e-12)
        assert [step for step, _ in tracked.history] == [step for step, _ in free.history]
        assert all(torch.equal(tracked.parameters[name], value) for name, value in free.parameters.items())
        assert (tracked.correct == free.correct).all()
    assert repr(plain[0]).startswith("NetworkResult('mlp w4 n96 p0 s0', threshold, distance_from_init=")
    frame = multirun_analysis.load_runs(f"sqlite:///{tmp_path / 'mlflow.db'}")
    made = initdist.results_frame(plain)
    target = "generalization_gap_noisy"
    tables = [multirun_analysis.league_table(one, target=target).table for one in (frame, made)]
    assert len(tables[0]) > 10
    pandas.testing.assert_frame_equal(*tables, check_dtype=False)
    said = [[one.sentence for one in multirun_analysis.claims(one)] for one in (frame, made)]
    assert said[0] == said[1]
    (parent,) = runs(tmp_path, "sweep")
    assert parent.data.tags["initdist.command"] == "initdist.train_networks(..., track=True)"


def test_configs_are_those_that_the_command_would_train():
    swept = initdist.network_configs("model.width=4,5", "seed=range(0,2)", *TINY)
    assert [(one.model.width, one.seed) for one in swept] == [(4, 0), (4, 1), (5, 0), (5, 1)]
    whole = initdist.network_configs("experiment=width", "seed=0")
    shapes = {(one.model.width, one.noise.level) for one in whole}
    assert shapes == {(width, level) for width in (64, 256, 1024) for level in (0, 0.25, 0.5)}
    arms = initdist.network_configs("experiment=intervention", "seed=0", "model.width=64", "noise.level=0")
    assert {one.constraint.name for one in arms} == {"none", "init_ball", "init_shell", "init_decay"}
    alone = initdist.network_configs("experiment=intervention", "seed=0", "constraint=none")
    assert {one.constraint.name for one in alone} == {"none"}
    with pytest.raises(ConfigError, match=r"^lr must be a key of the config, got lr=1; did you mean optimizer\.lr\?$"):
        initdist.network_configs("lr=1")


def test_a_config_is_refused_before_anything_is_trained():
    with pytest.raises(ConfigError, match=r"model\.width must be at least 1, got 0"):
        initdist.network_configs("model.width=0")
    (config,) = initdist.network_configs(*TINY)
    config.dataset.train_size = 5000
    with pytest.raises(ConfigError, match=r"dataset\.train_size must be at most 1280"):
        initdist.train_networks([config])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    in_process(with_store(folder), "model.width=6", "seed=3", "noise.level=0.5", "model.bias=false", *TINY)
    (run,) = runs(folder)
    return folder, f"sqlite:///{folder / 'mlflow.db'}", run


def test_a_tracked_network_comes_back_with_its_start_and_its_data(tracked):
    _, uri, run = tracked
    module, initial = initdist.load_network(run.info.run_id, uri)
    inputs, labels, test_inputs, test_labels = initdist.load_data(run.info.run_id, uri)
    metrics = run.data.metrics
    moved = [p - q for p, q in zip(module.parameters(), initial.parameters(), strict=True)]
    distance = torch.cat([d.flatten() for d in moved]).norm().item()
    assert distance == pytest.approx(metrics["distance_from_init"], rel=1e-5)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(module(inputs), labels).item()
        error = (module(test_inputs).argmax(1) != test_labels).double().mean().item()
    assert loss == pytest.approx(metrics["train_loss"], rel=1e-5)
    assert error == pytest.approx(metrics["test_error"])
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)


def test_what_cannot_be_loaded_is_said(tracked, tmp_path):
    folder, uri, run = tracked
    (parent,) = runs(folder, "sweep")
    with pytest.raises(UserError, match="must be the finished run of a network"):
        initdist.load_network(parent.info.run_id, uri)
    in_process(with_store(tmp_path), *TINY, "tracking.save_weights=false")
    (bare,) = runs(tmp_path)
    with pytest.raises(UserError, match=r"has no weights: it was trained with tracking\.save_weights=false"):
        initdist.load_network(bare.info.run_id, f"sqlite:///{tmp_path / 'mlflow.db'}")
    client(folder).set_tag(run.info.run_id, "initdist.theta0", "0" * 64)
    with pytest.raises(UserError, match=r"the initial parameters drawn here, by numpy .*, are not those of the run"):
        initdist.load_network(run.info.run_id, uri)


CASES = [
    (model, init, scale)
    for model in ("mlp", "linear", "cnn", "resnet")
    for init in ("xavier", "he", "ntk", "torch")
    for scale in ("null", "2.0")
]


@pytest.fixture(scope="module")
def every_function(tmp_path_factory):
    """One store with a network of every model, initialization and output scale; they move, and do not diverge."""
    folder = with_store(tmp_path_factory.mktemp("functions"))
    for model in ("mlp", "linear", "cnn", "resnet"):
        sizes = ["model.width=4", "model.depth=1", *(["model.stages=2"] if model == "resnet" else [])]
        axes = ["model.init=xavier,he,ntk,torch", "model.output_scale=null,2.0"]
        in_process(folder, "-m", f"model={model}", *sizes, *axes, *TINY, "optimizer.lr=0.02", "measures.names=[]")
    return folder


@pytest.mark.parametrize(("model", "init", "scale"), CASES)
def test_a_loaded_module_computes_the_logged_losses(every_function, model, init, scale):
    """Of the whole training and test sets, for every init x output_scale x model."""
    wanted = {"model.name": model, "model.init": init, "model.output_scale": scale.replace("null", "None")}
    (run,) = (one for one in runs(every_function) if wanted.items() <= one.data.params.items())
    uri = f"sqlite:///{every_function / 'mlflow.db'}"
    module, initial = initdist.load_network(run.info.run_id, uri)
    inputs, labels, test_inputs, test_labels = initdist.load_data(run.info.run_id, uri)
    loss = torch.nn.functional.cross_entropy
    with torch.no_grad():
        found = [loss(module(inputs), labels).item(), loss(module(test_inputs), test_labels).item()]
        started = loss(initial(inputs), labels).item()
    logged = run.data.metrics
    assert found == pytest.approx([logged["train_loss"], logged["test_loss"]], rel=1e-4)
    history = history_of(every_function, run, "train_loss")
    assert started == pytest.approx(history[0], rel=1e-4)
    moved = [p - q for p, q in zip(module.parameters(), initial.parameters(), strict=True)]
    distance = torch.cat([d.flatten() for d in moved]).norm().item()
    assert distance == pytest.approx(logged["distance_from_init"], rel=1e-4)


def history_of(folder, run, metric):
    """Values of a metric from step 0 on."""
    points = client(folder).get_metric_history(run.info.run_id, metric)
    return [point.value for point in sorted(points, key=lambda point: point.step)]


def test_a_loaded_function_can_be_trained_on_and_stored(every_function):
    """theta moves, theta0 does not; a state holds the whole function."""
    wanted = {"model.name": "mlp", "model.init": "ntk", "model.output_scale": "2.0"}
    (run,) = (one for one in runs(every_function) if wanted.items() <= one.data.params.items())
    uri = f"sqlite:///{every_function / 'mlflow.db'}"
    module, initial = initdist.load_network(run.info.run_id, uri)
    inputs, labels, *_ = initdist.load_data(run.info.run_id, uri)
    assert not module.training
    assert initial(inputs).abs().max() == 0
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert {name.partition(".")[0] for name in before} == {"theta", "theta0"}
    assert [name for name, _ in module.named_parameters()] == [f"theta.{key}" for key in module.theta.state_dict()]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(inputs), labels)
        (loss / 2.0**2).backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    after = module.state_dict()
    for name, value in before.items():
        assert torch.equal(after[name], value) is name.startswith("theta0."), name
    initial.load_state_dict(after)
    assert torch.equal(initial(inputs), module(inputs))


def test_loading_needs_no_dataset(tmp_path, monkeypatch):
    """The shapes are those of the run's tags: nothing is read, and nothing downloaded."""
    from initdist.data import datasets

    in_process(with_store(tmp_path), "model.width=4", *TINY)
    (run,) = runs(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:  # a run on a dataset that is not on this machine
        database.execute("UPDATE params SET value = 'mnist' WHERE key = 'dataset.name'")
    database.close()
    monkeypatch.setenv("INITDIST_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(datasets, "describe", lambda config: pytest.fail("a dataset was asked for"))
    module, _ = initdist.load_network(run.info.run_id, uri)
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert not (tmp_path / "nowhere").exists()
    client(tmp_path).delete_tag(run.info.run_id, "initdist.classes")
    with pytest.raises(UserError, match=r"must have the tags initdist\.input_shape and initdist\.classes"):
        initdist.load_network(run.info.run_id, uri)


@pytest.mark.parametrize("load", [initdist.load_network, initdist.load_data])
def test_an_unknown_run_leaves_no_store_behind(load, tracked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"tracking_uri must be a store that is there, got sqlite:///.*mlflow\.db: pass"
    ):
        load("0" * 32)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"tracking_uri must be a database or a server .*, got 'mlruns'"):
        load("0" * 32, "mlruns")
    assert list(tmp_path.iterdir()) == []
    other = tmp_path / "other.db"
    other.touch()
    with pytest.raises(UserError, match="tracking_uri must be a store that is there"):
        load("0" * 32, f"sqlite:///{other}")
    assert other.stat().st_size == 0
    with pytest.raises(UserError, match=f"run_id must be a run in sqlite:///.*, got '{'0' * 32}'"):
        load("0" * 32, tracked[1])


def test_importing_costs_nothing():
    check = "import sys, initdist; assert not {'torch', 'mlflow', 'hydra', 'omegaconf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        initdist.nothing  # noqa: B018
