"""Linearized twins against explicit Jacobians, the minimum norm, and the networks that they are twins of."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from initdist.config import identity
from initdist.data import datasets, stack_data
from initdist.errors import ConfigError
from initdist.paths import conf_dir
from initdist.stacks import function, initialization, stack
from initdist.stacks.losses.cross_entropy import loss as cross_entropy
from initdist.stacks.stack import Parameters, StackedModel
from initdist.sweeps import planning
from initdist.training import job
from initdist.workers import worker
from tests.helpers import CPU, make, tiny, train

SHAPE, CLASSES = (1, 8, 8), 10
MODELS = sorted(path.stem for path in Path(conf_dir(), "model").glob("*.yaml"))
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in MODELS],
    ("mlp", {"model.init": "ntk", "model.activation": "gelu"}),
    ("mlp", {"model.output_scale": 3.0, "model.bias": False}),
    ("cnn", {"model.downsample": "pool"}),
    ("resnet", {"model.norm": "none", "model.output_scale": 0.5}),
]


def _outputs(model: StackedModel, parameters: Parameters, inputs: Tensor) -> Tensor:
    """f_theta of the plain network in float64."""
    used = {name: p * model.multipliers.get(name, 1.0) for name, p in parameters.items()}
    return functional_call(model.module, used, (inputs.double(),))


def _expanded(model: StackedModel, theta: Parameters, theta0: Parameters, inputs: Tensor) -> Tensor:
    """The first-order expansion, from the whole Jacobian by reverse differentiation."""
    start = {name: p.double() for name, p in theta0.items()}
    jacobian = jacrev(lambda parameters: _outputs(model, parameters, inputs))(start)
    moved = {name: theta[name].double() - p for name, p in start.items()}
    change = sum((jacobian[name] * moved[name]).flatten(2).sum(2) for name in moved)
    if model.output_scale is not None:
        return model.output_scale * change
    return _outputs(model, start, inputs) + change


@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_a_twin_computes_the_first_order_expansion(model: str, changes: dict[str, Any]) -> None:
    """In training's stacks, and as the module that a run is loaded as."""
    config = make({"model.width": 8, "model.linearize": True} | changes, f"model={model}")
    initial = stack.build(
        [config, make({"model.width": 8, "seed": 1, "model.linearize": True} | changes, f"model={model}")],
        SHAPE,
        CLASSES,
        CPU,
    )
    generator = torch.Generator().manual_seed(0)
    moved = initial.clone()
    for p in moved.parameters.values():
        p.add_(0.3 * torch.randn(p.shape, generator=generator) * p.std())
    inputs = torch.randn(2, 5, *SHAPE, generator=generator)
    logits = moved.forward(inputs)
    for index in range(2):
        theta, theta0 = moved.network(index), initial.network(index)
        expected = _expanded(moved.model, theta, theta0, inputs[index]).float()
        torch.testing.assert_close(logits[index], expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
        plain = planning.models.build(config.model, SHAPE, CLASSES).eval()
        module = function.build(config.model, plain, theta0)
        plain.load_state_dict(theta)
        torch.testing.assert_close(module(inputs[index]).detach(), logits[index], rtol=1e-4, atol=1e-5)
    start = initial.forward(inputs)
    assert torch.equal(start[0], stack.build([config], SHAPE, CLASSES, CPU).forward(inputs[:1])[0])


def test_a_loaded_twin_is_trained_on_from_where_it_is() -> None:
    """theta moves, theta0 does not, and the gradients are those of the stack."""
    config = make({"model.width": 8, "model.linearize": True})
    built = stack.build([config], SHAPE, CLASSES, CPU)
    plain = planning.models.build(config.model, SHAPE, CLASSES)
    module = function.build(config.model, plain, built.network(0))
    assert [name for name, _ in module.named_parameters()] == [f"theta.{name}" for name in built.parameters]
    inputs, labels = torch.randn(1, 20, *SHAPE), torch.randint(0, CLASSES, (1, 20))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    rates = torch.full((1,), 0.1)
    moving = built.clone()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs[0]), labels[0]).backward()
        optimizer.step()
        moving.descend(cross_entropy, inputs, labels, rates)
    for name, p in plain.named_parameters():
        torch.testing.assert_close(p.detach(), moving.parameters[name][0], rtol=1e-4, atol=1e-6)
        assert torch.equal(built.parameters[name][0], module.state_dict()[f"theta0.{name}"])


def _pair(changes: dict[str, Any], *choices: str) -> tuple[Any, Any]:
    """A network and its twin, trained."""
    (one,), (other,) = (train([tiny({"model.linearize": twin} | changes, *choices)]) for twin in (False, True))
    return one, other


def test_a_linear_network_without_hidden_layers_is_its_own_twin() -> None:
    one, twin = _pair({"model.depth": 0, "noise.level": 0.2, "stop.max_epochs": 20}, "model=linear")
    assert one.result.theta0 == twin.result.theta0
    assert (one.result.stop_reason, one.result.step) == (twin.result.stop_reason, twin.result.step)
    for name in ("distance_from_init", "train_loss", "test_loss"):
        assert twin.result.metrics[name] == pytest.approx(one.result.metrics[name], rel=1e-5), name


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_twin_begins_as_its_network_and_takes_the_same_first_step(model: str) -> None:
    """The same parameters, samples, labels and order, and at theta_0 the same gradient; then they part."""
    changes = {"model.width": 8, "noise.level": 0.3, "optimizer.batch_size": 0}
    one, twin = _pair(changes | {"stop.max_epochs": 1}, f"model={model}")
    assert one.result.theta0 == twin.result.theta0
    for name, p in one.parameters.items():
        torch.testing.assert_close(twin.parameters[name], p, rtol=1e-4, atol=1e-6)
    one, twin = _pair(changes | {"stop.max_epochs": 3, "optimizer.batch_size": 20}, f"model={model}")
    assert abs(twin.result.metrics["distance_from_init"] / one.result.metrics["distance_from_init"] - 1) > 1e-3


# Full-batch descent at a small rate on squared error, until the targets are fitted.
FITTED = {"model.width": 32, "dataset.train_size": 12, "optimizer.batch_size": 0, "noise.level": 0.5, "history": 0}
FITTED |= {"stop.train_loss": 1e-5, "stop.max_epochs": 20_000, "optimizer.lr": 0.0075}  # 1 / the largest curvature


def _minimum_norm(config: Any) -> float:
    """sqrt(r^T K^-1 r), r = Y - f_0(X), K of all samples and outputs, from the whole Jacobian."""
    built, data = stack.build([config], SHAPE, CLASSES, CPU), stack_data.build([config], CPU)
    inputs, labels = (part[0] for part in data.train_slice(0, data.train_size))
    start = {name: p.double() for name, p in built.network(0).items()}
    jacobian = jacrev(lambda parameters: _outputs(built.model, parameters, inputs))(start)
    rows = torch.cat([part.flatten(2) for part in jacobian.values()], dim=2).flatten(0, 1)
    missing = nn.functional.one_hot(labels, CLASSES) - _outputs(built.model, start, inputs)
    return torch.linalg.vector_norm(torch.linalg.pinv(rows) @ missing.flatten()).item()


@pytest.mark.parametrize(
    ("model", "changes"),
    [("mlp", {}), ("cnn", {"model.width": 8, "dataset.train_size": 3, "optimizer.lr": 0.04})],
)
def test_descent_takes_a_twin_to_the_minimum_norm(model: str, changes: dict[str, Any]) -> None:
    config = make(FITTED | changes | {"model.linearize": True, "device": "cpu"}, "loss=squared_error", f"model={model}")
    (twin,) = train([config])
    assert twin.result.stop_reason == "threshold"
    assert twin.result.metrics["distance_from_init"] == pytest.approx(_minimum_norm(config), rel=0.01)


def test_a_network_with_a_large_output_scale_moves_as_its_twin() -> None:
    """alpha (f_theta - f_theta0) with losses over alpha^2: the larger alpha, the lazier (Chizat et al. 2019)."""
    off = []
    for alpha in (1.0, 100.0):
        one, twin = _pair({"model.output_scale": alpha, "stop.max_epochs": 5, "history": 0})
        ratio = one.result.metrics["distance_from_init"] / twin.result.metrics["distance_from_init"]
        off.append(abs(ratio - 1))
    assert off[0] > 10 * off[1]
    assert off[1] < 0.005


def test_twins_and_networks_share_no_stack_and_have_identities_of_their_own() -> None:
    one, twin = make({"model.width": 8}), make({"model.width": 8, "model.linearize": True})
    assert planning.shape(one) != planning.shape(twin)
    assert identity.identity(one, "digits/1") != identity.identity(twin, "digits/1")
    assert identity.run_name(one) == "mlp w8 n1280 p0 s0"
    assert identity.run_name(twin) == "linearized mlp w8 n1280 p0 s0"
    assert worker.capacity(twin, CPU) < worker.capacity(one, CPU)


class _Backward(torch.autograd.Function):
    """The identity, with a derivative by reverse differentiation alone."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


class _Own(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = _Backward.apply(inputs)
        return result


def test_what_has_no_forward_derivative_is_refused_before_training() -> None:
    config = make({"model.linearize": True})
    module = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(SHAPE), CLASSES), _Own()).to("meta")
    about = datasets.describe(config.dataset)
    said = "model.linearize must be false for model.name=mlp, which cannot be linearized: "
    with pytest.raises(ConfigError, match=re.escape(said)):
        job.check_results(config, module, about)
    job.check_results(replace(config, model=replace(config.model, linearize=False)), module, about)
    assert initialization.draw(config, {"w": (2, 2)})["w"].equal(initialization.draw(make(), {"w": (2, 2)})["w"])
