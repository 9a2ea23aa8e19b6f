"""Every model of `conf/model`, and every scheme of initialization: it composes, trains, and does not see its stack."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from initdist import models
from initdist.errors import ConfigError
from initdist.paths import conf_dir
from initdist.stacks import initialization, stack
from initdist.stacks.losses.cross_entropy import loss as cross_entropy
from initdist.sweeps import planning
from initdist.training import job, observer
from tests.helpers import CPU, make

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted(p.stem for p in Path(conf_dir(), "model").glob("*.yaml"))
SMALL = {"dataset.train_size": 70, "optimizer.batch_size": 27, "history": 3, "stop.max_epochs": 4}
VARIANTS = [
    *[(name, {}) for name in MODELS],
    ("mlp", {"model.width": 1}),
    ("mlp", {"model.init": "ntk", "model.activation": "tanh"}),
    ("mlp", {"model.output_scale": 3.0, "model.bias": False}),
    ("cnn", {"model.downsample": "pool", "model.activation": "gelu"}),
    ("cnn", {"model.downsample": "none", "model.head": "average", "model.init": "torch"}),
    ("resnet", {"model.norm": "none", "model.bias": False}),
    ("resnet", {"model.stages": 2, "model.depth": 2, "model.output_scale": 0.5}),
    ("mlp", {"model.linearize": True}),
    ("cnn", {"model.linearize": True, "model.downsample": "pool", "model.init": "ntk", "model.output_scale": 3.0}),
    ("resnet", {"model.linearize": True, "model.stages": 1, "stop.max_epochs": 1}),
]


def configs(name, changes, count):
    width = {"model.width": 8} if "model.width" not in changes else {}
    levels = (0.0, 0.5, 1.0)
    return [
        make({**SMALL, **width, **changes, "seed": seed, "noise.level": levels[seed % 3]}, f"model={name}")
        for seed in range(count)
    ]


def trained(networks):
    return [e for e in job.train(networks, CPU) if isinstance(e, observer.Trained)]


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_alone_and_in_any_stack_equal_bit_for_bit(name, changes):
    networks = configs(name, changes, 8)
    together = {one.network: one for one in trained(networks)}
    for part in ([5], [2, 0], [1, 2, 3, 4, 6]):
        for one in trained([networks[i] for i in part]):
            other = together[part[one.network]]
            assert one.result.metrics == other.result.metrics
            assert one.result.history == other.result.history
            assert one.result.theta0 == other.result.theta0
            assert all(torch.equal(p, other.parameters[key]) for key, p in one.parameters.items())


@pytest.mark.parametrize("name", MODELS)
def test_a_neighbour_that_diverges_does_no_harm(name):
    networks = configs(name, {}, 5)
    calm = {one.network: one for one in trained(networks)}
    wild = configs(name, {"optimizer.lr": 1e30}, 1)[0]
    beside = {one.network: one for one in trained([*networks, wild])}
    assert beside[5].result.stop_reason == "diverged"
    assert all(beside[i].result.metrics == calm[i].result.metrics for i in range(5))


@pytest.mark.parametrize("name", MODELS)
def test_learns_digits(name):
    (config,) = configs(name, {"dataset.train_size": 512, "stop.max_epochs": 15, "model.width": 16}, 1)
    (one,) = trained([config])
    assert one.result.metrics["train_error"] < 0.25


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("input_shape", [(1, 8, 8), (3, 13, 9), (2, 28, 28)])
def test_takes_any_image(name, input_shape):
    config = make({"model.width": 8}, f"model={name}")
    models.check(config.model, input_shape)
    built = stack.build([config], input_shape, 7, CPU)
    assert built.forward(torch.randn(1, 5, *input_shape)).shape == (1, 5, 7)


TOO_DEEP = {
    "cnn": ({"model.depth": 4}, "model.depth must be at most 3 for images of 8x8 that every block halves, got 4"),
    "resnet": ({"model.stages": 5}, "model.stages must be at most 4 for images of 8x8 that every further stage halves"),
}


@pytest.mark.parametrize("name", TOO_DEEP)
def test_a_model_too_deep_for_its_images_is_refused(name):
    changes, message = TOO_DEEP[name]
    with pytest.raises(ConfigError, match=message):
        planning.network(make(changes, f"model={name}"))


def test_groups_divide_the_channels():
    with pytest.raises(ConfigError, match=r"model\.width must be a multiple of model\.groups=4.*got 6"):
        planning.network(make({"model.width": 6}, "model=resnet"))


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_output_scale_is_above_zero(value):
    with pytest.raises(ConfigError, match=r"model\.output_scale must be null or a finite number above 0"):
        make({"model.output_scale": value})


def test_products_over_layers_are_absent_where_there_is_no_chain():
    (one,) = trained(configs("resnet", {}, 1))
    assert "measure/log_prod_of_spec" not in one.result.metrics
    assert "measure/spectral_norm/layer1" in one.result.metrics


# Initialization: drawn moments against the closed forms.
SHAPES = {"1.weight": (300, 200), "1.bias": (300,), "2.weight": (64, 32, 3, 3), "2.bias": (64,), "3.weight": (300,)}
STD = {
    "xavier": {"1.weight": math.sqrt(2 / 500), "2.weight": math.sqrt(2 / (96 * 9))},
    "he": {"1.weight": math.sqrt(2 / 200), "2.weight": math.sqrt(2 / (32 * 9))},
    "ntk": {"1.weight": 1.0, "2.weight": 1.0},
    "torch": {"1.weight": 1 / math.sqrt(3 * 200), "2.weight": 1 / math.sqrt(3 * 32 * 9)},
}


@pytest.mark.parametrize("scheme", initialization.SCHEMES)
def test_initial_weights_have_the_scheme_s_deviation(scheme):
    drawn = initialization.draw(make({"model.init": scheme, "model.init_scale": 2.0}), SHAPES)
    for name, std in STD[scheme].items():
        assert drawn[name].std().item() == pytest.approx(2 * std, rel=0.02)
        assert drawn[name].mean().item() == pytest.approx(0, abs=2 * std / 30)
    assert drawn["3.weight"].eq(1).all()
    assert drawn["1.bias"].eq(0).all() == (scheme != "torch")


def test_the_torch_scheme_is_torch_s_own():
    layer = torch.nn.Conv2d(32, 64, 3)
    drawn = initialization.draw(make({"model.init": "torch"}), SHAPES)
    for ours, theirs in ((drawn["2.weight"], layer.weight), (drawn["2.bias"], layer.bias)):
        assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.05)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)


def test_the_ntk_parametrization_is_he_in_function_and_not_in_gradient():
    """f_ntk(w) = f_he(sqrt(2 / fan_in) w); by the chain rule its gradient is the other's times that factor."""
    ntk = stack.build([make({"model.init": "ntk"})], (1, 8, 8), 10, CPU)
    plain = stack.build([make({"model.init": "he"})], (1, 8, 8), 10, CPU)
    factor = {name: math.sqrt(2 / p.shape[2]) for name, p in ntk.parameters.items() if p.dim() > 2}
    for name, value in plain.parameters.items():
        value.copy_(ntk.parameters[name] * factor.get(name, 1.0))
    inputs, labels = torch.randn(1, 20, 1, 8, 8), torch.randint(0, 10, (1, 20))
    torch.testing.assert_close(ntk.forward(inputs), plain.forward(inputs))
    ours, loss = ntk.gradients(cross_entropy, inputs, labels)
    theirs, other = plain.gradients(cross_entropy, inputs, labels)
    torch.testing.assert_close(loss, other)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name] * factor.get(name, 1.0))


def test_output_scale_is_the_scaled_difference_from_the_start_with_gradients_of_loss_over_alpha_squared():
    """f = alpha (f_theta - f_theta0), objective R / alpha^2 (Chizat et al. 2019)."""
    alpha = 3.0
    changes = {"model.width": 12, "seed": 4}
    scaled = stack.build([make({**changes, "model.output_scale": alpha})], (1, 8, 8), 10, CPU)
    plain = stack.build([make(changes)], (1, 8, 8), 10, CPU)
    inputs, labels = torch.randn(1, 20, 1, 8, 8), torch.randint(0, 10, (1, 20))
    start = plain.forward(inputs)
    moving = scaled.clone()
    assert moving.forward(inputs).eq(0).all()
    for key in moving.parameters:
        step = 0.1 * torch.randn_like(moving.parameters[key])
        moving.parameters[key].add_(step)
        plain.parameters[key].add_(step)
    torch.testing.assert_close(moving.forward(inputs), alpha * (plain.forward(inputs) - start))

    def objective(logits, labels):  # what the plain network must minimize to follow the scaled one
        return cross_entropy(alpha * (logits - start[0]), labels) / alpha**2

    ours, loss = moving.gradients(cross_entropy, inputs, labels)
    theirs, other = plain.gradients(objective, inputs, labels)
    torch.testing.assert_close(loss, other * alpha**2)  # the reported loss is R
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key])


EXTERNAL = """
from dataclasses import dataclass
from initdist.models import ModelConfig, at_least, option

@dataclass
class Config(ModelConfig):
    name: str = "wide"
    times: int = option(2, at_least(1))

def build(config, input_shape, classes):
    from torch import nn
    size = input_shape[0] * input_shape[1] * input_shape[2]
    width = config.width * config.times
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, classes))
"""


def test_a_model_of_another_package_is_found_by_its_entry_point(tmp_path):
    package, conf = tmp_path / "site", tmp_path / "conf" / "model"
    info = package / "elsewhere-1.0.dist-info"
    info.mkdir(parents=True)
    conf.mkdir(parents=True)
    (package / "elsewhere.py").write_text(EXTERNAL)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[initdist.models]\nwide = elsewhere\nbroken = not_there_at_all\n")
    (conf / "wide.yaml").write_text("defaults:\n  - /schema/model/wide@_here_\n\nwidth: 4\n")
    (conf / "broken.yaml").write_text("name: broken\n")

    def command(*overrides):
        start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from initdist.train import main; main()"
        options = ("--config-dir", str(tmp_path / "conf"), *overrides)
        given = [sys.executable, "-c", start, str(package), *options]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), str(ROOT)])}
        return subprocess.run(given, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = command("model=wide", "model.times=3", "dataset.train_size=64", "stop.max_epochs=1")
    assert "1 network: 1 finished" in done.stdout, done.stderr
    assert "model.times must be at least 1, got 0" in command("model=wide", "model.times=0").stderr
    assert "model.name=broken needs not_there_at_all, which cannot be imported" in command("model=broken").stderr
