"""Curvature against the Hessian in full, and against Hessians known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev

from initdist.config.schema import NumericsConfig
from initdist.measures import MeasureInputs, _directions
from initdist.stacks.losses import LOSSES
from tests.measures.searched import fresh, linear, permuted, samples, trained, values


def _hessian(subject: MeasureInputs, index: int, count: int) -> Tensor:
    """[p, p] of the mean loss on the first samples, by reverse differentiation twice, in float64."""
    model = subject.trained.model
    parameters = {name: p[index].double() for name, p in subject.trained.parameters.items()}
    inputs, labels = (part[index] for part in subject.data.train_slice(0, count))
    names = list(parameters)
    sizes = [p.numel() for p in parameters.values()]

    def loss(flat: Tensor) -> Tensor:
        used = {
            name: chunk.view(parameters[name].shape) * model.multipliers.get(name, 1.0)
            for name, chunk in zip(names, flat.split(sizes), strict=True)
        }
        return subject.loss(functional_call(model.module, used, (inputs.double(),)), labels).mean()

    return jacrev(grad(loss))(torch.cat([p.flatten() for p in parameters.values()]))


def _small(model: str, **overrides: object) -> MeasureInputs:
    """Networks of a few hundred parameters."""
    small = {"model.width": 2, **({"model.groups": 2, "model.stages": 1} if model == "resnet" else {})}
    return trained(model, 2, tuple({**small, **overrides}.items()))


CASES = [
    ("mlp", {}),
    ("mlp", {"model.init": "ntk", "model.activation": "tanh"}),
    ("linear", {}),
    ("cnn", {}),
    ("resnet", {}),
]
SAMPLES = 12  # of Hessians in full


@pytest.mark.parametrize(("model", "overrides"), CASES)
def test_against_the_hessian_in_full(model: str, overrides: dict) -> None:
    """The top is the largest eigenvalue. The trace is that within the Krylov space of the signs numbered 0, and the
    mean of z^T P H P z for the signs after them, P the projection away from that space."""
    subject = _small(model, **overrides)
    found = values(fresh(subject, hessian_subset=SAMPLES, lanczos_steps=60), "hessian_top")
    options = {"hessian_subset": SAMPLES, "lanczos_steps": 6, "probes": 5}
    traces = values(fresh(subject, **options), "hessian_trace")
    signs = [_directions.signs(subject.trained, subject.seeds, probe) for probe in range(6)]
    for index in range(2):
        hessian = _hessian(subject, index, SAMPLES)
        start, *zs = [torch.cat([p[index].flatten() for p in one.values()]).double() for one in signs]
        basis = _krylov(hessian, start, 6)
        inside = (basis.T @ hessian @ basis).trace()
        rests = [z - basis @ (basis.T @ z) for z in zs]
        outside = torch.stack([rest @ hessian @ rest for rest in rests])
        trace, error = (inside + outside.mean()).item(), outside.std().item() / math.sqrt(5)
        assert traces["hessian_trace", None][index] == pytest.approx(trace, rel=1e-3)
        assert traces["hessian_trace", "error"][index] == pytest.approx(error, rel=1e-2)
        top = torch.linalg.eigvalsh(hessian)[-1].item()
        assert found["hessian_top", None][index] == pytest.approx(top, rel=1e-4)


def _krylov(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    """An orthonormal basis [p, steps] of start, A start, A^2 start, ..., by QR of each next one."""
    basis = (start / start.norm())[:, None]
    for _ in range(steps - 1):
        basis = torch.linalg.qr(torch.cat([basis, (matrix @ basis[:, -1])[:, None]], dim=1)).Q
    return basis


@pytest.mark.parametrize(("model", "overrides"), CASES)
def test_the_default_options_are_near_and_say_how_near(model: str, overrides: dict) -> None:
    """Of the exact values: the trace within 10 % of the sum of absolute eigenvalues, the top within 1 %; and within
    five stated errors (and rounding)."""
    subject = _small(model, **overrides)
    found = values(fresh(subject), "curvature")
    for index in range(2):
        hessian = _hessian(subject, index, 100)
        eigenvalues = torch.linalg.eigvalsh(hessian)
        for name, exact, near in (
            ("hessian_trace", eigenvalues.sum().item(), 0.1 * eigenvalues.abs().sum().item()),
            ("hessian_top", eigenvalues[-1].item(), 0.01 * eigenvalues[-1].item()),
        ):
            off, error = abs(found[name, None][index] - exact), found[name, "error"][index]
            assert off < near, name
            assert error < near, name
            assert off <= 5 * error + 1e-4 * exact, name


def test_the_stated_error_of_the_trace_is_honest() -> None:
    """Over 60 estimates from other draws their mean is the exact trace, and they are off by one error in root mean."""
    subject = _small("mlp")
    exact = torch.stack([_hessian(subject, index, 100).trace() for index in range(2)])
    found = [values(fresh(subject, seeds=(2 * k, 2 * k + 1)), "hessian_trace") for k in range(30)]
    each, errors = (torch.tensor([one["hessian_trace", key] for one in found]) for key in (None, "error"))
    off = (each - exact) / errors
    assert 0.75 < off.square().mean().sqrt().item() < 1.3
    assert abs(off.mean().item()) < 4 / math.sqrt(60)


def test_few_steps_say_how_near_they_are() -> None:
    """Within the error of the value found there is an eigenvalue, and the value is no larger than the largest."""
    subject = _small("mlp")
    for steps in (1, 2, 4, 8):
        found = values(fresh(subject, lanczos_steps=steps, hessian_subset=SAMPLES), "hessian_top")
        for index in range(2):
            eigenvalues = torch.linalg.eigvalsh(_hessian(subject, index, SAMPLES))
            value, error = found["hessian_top", None][index], found["hessian_top", "error"][index]
            assert (eigenvalues - value).abs().min() <= error + 1e-5
            assert value <= eigenvalues[-1] + 1e-5
            assert error > 0


def test_the_trace_is_within_its_error() -> None:
    subject = _small("mlp")
    found = values(fresh(subject, probes=100, hessian_subset=SAMPLES), "hessian_trace")
    for index in range(2):
        exact = _hessian(subject, index, SAMPLES).trace().item()
        error = found["hessian_trace", "error"][index]
        assert error < 0.1 * exact
        assert abs(found["hessian_trace", None][index] - exact) < 4 * error


def test_the_hessian_of_a_quadratic() -> None:
    """Squared error of a linear classifier: H = 2/m sum x x^T for each class, diagonal for inputs along the axes.

    x = c_k e_k: 2/m c_k^2 on the diagonal, C times; each of these eigenvalues is in the Krylov space once.
    """
    lengths = [1.0, 2.0, 3.0, 0.5]
    inputs = [[length if j == k else 0.0 for j in range(4)] for k, length in enumerate(lengths)]
    weight = [[0.1 * (c + j) for j in range(4)] for c in range(3)]
    subject = linear(weight, None, samples(inputs, [0, 1, 2, 0], 3), {"lanczos_steps": 12}, loss="squared_error")
    found = values(subject, "curvature")
    trace = 3 * 2 / 4 * sum(c**2 for c in lengths)
    assert 0 < found["hessian_trace", "error"][0] < 0.1 * trace
    assert abs(found["hessian_trace", None][0] - trace) < 3 * found["hessian_trace", "error"][0]
    assert found["hessian_top", None] == pytest.approx([2 / 4 * 9], rel=1e-5)
    assert found["hessian_top", "error"] == pytest.approx([0], abs=1e-5)  # four eigenvalues: complete after four steps


def test_micro_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from initdist.measures import curvature

    expected = values(fresh(trained()), "curvature")
    monkeypatch.setattr(curvature, "ROWS", 30)  # 100 samples: the last micro-batch has ten
    for key, value in values(fresh(trained()), "curvature").items():
        assert value == pytest.approx(expected[key], rel=1e-3), key


def test_the_output_scale_is_part_of_the_function() -> None:
    """alpha (f_theta - f_theta0) is a function of theta whose loss is not divided by alpha^2."""
    subject = _small("mlp", **{"model.output_scale": 2.0})
    model = subject.trained.model
    found = values(fresh(subject, hessian_subset=SAMPLES, lanczos_steps=60), "hessian_top")
    inputs, labels = (one[0] for one in subject.data.train_slice(0, SAMPLES))
    parameters, initial = (
        {name: p[0] for name, p in one.items()} for one in (subject.trained.parameters, subject.initial.parameters)
    )
    names, sizes = list(parameters), [p.numel() for p in parameters.values()]

    def loss(flat: Tensor) -> Tensor:
        used = {n: c.view(parameters[n].shape) for n, c in zip(names, flat.split(sizes), strict=True)}
        moved = functional_call(model.module, used, (inputs,)) - functional_call(model.module, initial, (inputs,))
        return LOSSES["cross_entropy"].loss(2 * moved, labels).mean()

    hessian = jacrev(grad(loss))(torch.cat([p.flatten() for p in parameters.values()]))
    assert found["hessian_top", None][0] == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-3)


def test_passes_are_in_float32_whatever_the_training_was() -> None:
    subject = trained()
    coarse = replace(subject.trained.model, numerics=NumericsConfig("bfloat16", True), _recorded={})
    found = values(fresh(subject, trained=replace(subject.trained, model=coarse)), "curvature", "pacbayes", "ntk")
    assert found == values(fresh(subject), "curvature", "pacbayes", "ntk")


def test_permuting_hidden_units_keeps_the_curvature() -> None:
    """The trace within its error, since the probes are others; the top as far as both have converged."""
    subject = trained()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    options = {"probes": 32, "lanczos_steps": 20}
    moved = fresh(
        subject, trained=permuted(subject.trained, order), initial=permuted(subject.initial, order), **options
    )
    before, after = values(fresh(subject, **options), "curvature"), values(moved, "curvature")
    assert after["hessian_top", None] == pytest.approx(before["hessian_top", None], rel=1e-3)
    for index in range(3):
        error = math.hypot(before["hessian_trace", "error"][index], after["hessian_trace", "error"][index])
        assert 0 < abs(before["hessian_trace", None][index] - after["hessian_trace", None][index]) < 4 * error
