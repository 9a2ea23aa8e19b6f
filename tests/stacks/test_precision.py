"""The arithmetic that `numerics.*` asks for, against plain float32 and against PyTorch's own autocast."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from initdist.errors import DeviceError
from initdist.stacks import recording, stack
from initdist.stacks.losses import LOSSES
from initdist.workers import pool
from tests.helpers import CPU, make, tiny, to_train, train

SHAPE, CLASSES, BATCH = (1, 8, 8), 10, 13
LOSS = LOSSES["cross_entropy"].loss


def built(changes, networks=3, model="mlp"):
    stack._model.cache_clear()
    configs = [make({"model.width": 16, "seed": seed} | changes, f"model={model}") for seed in range(networks)]
    return stack.build(configs, SHAPE, CLASSES, CPU)


def batch(networks=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(networks, BATCH, *SHAPE, generator=generator), torch.randint(
        0, CLASSES, (networks, BATCH), generator=generator
    )


def test_bfloat16_is_that_of_a_plain_network_under_autocast():
    small = built({"numerics.precision": "bfloat16"})
    inputs, labels = batch()
    gradients, losses = small.gradients(LOSS, inputs, labels)
    for i in range(3):
        weights = {name: p.clone().requires_grad_() for name, p in small.network(i).items()}
        named = list(weights.values())
        with torch.autocast("cpu", torch.bfloat16):
            hidden = inputs[i].flatten(1)
            for k in range(0, len(named), 2):
                hidden = F.linear(hidden, named[k], named[k + 1])
                hidden = hidden.relu() if k < len(named) - 2 else hidden
        value = F.cross_entropy(hidden.float(), labels[i])
        value.backward()
        assert losses[i].item() == pytest.approx(value.item(), rel=1e-3)
        for name, p in weights.items():
            assert gradients[name].dtype == torch.float32
            torch.testing.assert_close(gradients[name][i], p.grad, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_bfloat16_rounds_the_products_and_nothing_else(model, monkeypatch):
    full, small = built({}, model=model), built({"numerics.precision": "bfloat16"}, model=model)
    inputs, labels = batch()
    exact, rounded = full.forward(inputs), small.forward(inputs)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    assert 1e-4 < error < 2e-2
    eager, _ = small.gradients(LOSS, inputs, labels)
    monkeypatch.setattr(recording, "WORTHWHILE", 0)
    replayed, _ = small.gradients(LOSS, inputs, labels)
    assert all(torch.equal(replayed[name], eager[name]) for name in eager)


def test_a_network_trains_in_bfloat16_and_is_another_one():
    (small,), (full,) = train([tiny({"numerics.precision": "bfloat16"})]), train([tiny()])
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in small.parameters.values())
    assert small.result.theta0 == full.result.theta0
    assert small.result.metrics["train_loss"] != full.result.metrics["train_loss"]
    assert small.result.metrics["train_loss"] == pytest.approx(full.result.metrics["train_loss"], rel=0.05)


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, in some versions
def test_compiled_steps_are_those_of_the_recording_to_rounding(monkeypatch):
    full, fast = built({}), built({"numerics.compile": True})
    inputs, labels = batch()
    expected, expected_losses = full.gradients(LOSS, inputs, labels)
    calls = []
    real = recording.precision.compiled
    monkeypatch.setattr(recording.precision, "compiled", lambda function: calls.append(1) or real(function))
    monkeypatch.setattr(recording, "WORTHWHILE", 1)
    for _ in range(3):
        gradients, losses = fast.gradients(LOSS, inputs, labels)
    fast.forward(inputs)
    fast.forward(inputs)
    assert len(calls) == 1  # one shape of steps; what is evaluated once an epoch stays as it is
    torch.testing.assert_close(losses, expected_losses, rtol=1e-6, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_tf32_is_what_is_asked_for_and_nothing_else(precision):
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    try:
        train([tiny({"numerics.precision": precision, "stop.max_epochs": 1})])
        assert [switch.allow_tf32 for switch in switches] == [precision == "tf32"] * 2
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def test_tf32_on_a_cpu_is_refused_before_anything_is_trained():
    with pytest.raises(DeviceError, match=r"numerics\.precision must be float32 or bfloat16 on a CPU, got tf32"):
        next(pool.Pool("cpu", 1).train(to_train([tiny({"numerics.precision": "tf32"})])))


def test_compiling_without_a_compiler_is_refused_before_anything_is_trained(monkeypatch):
    training = pool.Pool("cpu", 1)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(DeviceError, match=r"numerics\.compile must be false where .* got true: install one of g\+\+"):
        next(training.train(to_train([tiny({"numerics.compile": True})])))
