"""initdist from Python: training in memory, and tracked networks back as modules."""

import subprocess
import sys

import pytest
import torch

import initdist
from initdist.errors import ConfigError, UserError
from tests.command import TINY, client, runs, train


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
    train(folder, "model.width=6", "seed=3", "noise.level=0.5", "model.bias=false", *TINY)
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
    train(tmp_path, *TINY, "tracking.save_weights=false")
    (bare,) = runs(tmp_path)
    with pytest.raises(UserError, match=r"has no weights: it was trained with tracking\.save_weights=false"):
        initdist.load_network(bare.info.run_id, f"sqlite:///{tmp_path / 'mlflow.db'}")
    client(folder).set_tag(run.info.run_id, "initdist.theta0", "0" * 64)
    with pytest.raises(UserError, match=r"the initial parameters drawn here, by numpy .*, are not those of the run"):
        initdist.load_network(run.info.run_id, uri)


def test_importing_costs_nothing():
    check = "import sys, initdist; assert not {'torch', 'mlflow', 'hydra', 'omegaconf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        initdist.nothing  # noqa: B018
