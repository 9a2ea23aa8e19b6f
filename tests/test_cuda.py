"""What only a CUDA device can show: captured epochs, precision, memory, several devices."""

import pytest
import torch

from initdist import epochs, fit, pool
from initdist.events import Result
from tests import helpers
from tests.helpers import tiny

DEVICE = torch.device("cuda")
MODELS = ["mlp", "cnn", "resnet"]

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def train(configs):
    return helpers.train(configs, DEVICE)


def differing(model, networks=5, **changes):
    """Networks of one shape that end at different epochs."""
    return [
        tiny(
            {"seed": i, "stop.max_epochs": 12, "stop.train_loss": 0.3 * i, "optimizer.lr": 0.2} | changes,
            f"model={model}",
        )
        for i in range(networks)
    ]


def close(one, other, tolerance=2e-3):
    assert (one.result.stop_reason, one.result.step) == (other.result.stop_reason, other.result.step)
    assert one.result.theta0 == other.result.theta0
    for name, values in one.parameters.items():
        torch.testing.assert_close(values, other.parameters[name], rtol=tolerance, atol=tolerance)
    for name in ("distance_from_init", "train_loss", "test_loss"):
        assert one.result.metrics[name] == pytest.approx(other.result.metrics[name], rel=tolerance)


@pytest.mark.parametrize("model", MODELS)
def test_networks_are_those_of_a_cpu(model):
    configs = differing(model, **{"stop.train_loss": 0.0, "stop.max_epochs": 3})
    for one, other in zip(train(configs), helpers.train(configs), strict=True):
        close(one, other)


@pytest.mark.parametrize("model", MODELS)
def test_captured_epochs_are_those_that_are_launched_step_by_step(model, monkeypatch):
    captured = train(differing(model))
    assert len({one.result.step for one in captured}) > 1
    begin = epochs.Epochs.__init__

    def never_captured(self, *given):
        begin(self, *given)
        self.capturable = False

    monkeypatch.setattr(epochs.Epochs, "__init__", never_captured)
    for one, other in zip(captured, train(differing(model)), strict=True):
        close(one, other, 1e-5)


def test_epochs_are_captured(monkeypatch):
    replays = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda self: (replays.append(1), replay(self)))
    train([tiny({"stop.train_loss": 0.0, "stop.max_epochs": 6})])
    assert len(replays) == 5  # the first epoch is launched step by step, the second captured and replayed


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_when_a_stack_shrinks_changes_no_result(share, monkeypatch):
    expected = [train([config])[0] for config in differing("mlp")]
    monkeypatch.setitem(fit.SHRINK, DEVICE.type, share)
    for one, other in zip(train(differing("mlp")), expected, strict=True):
        close(one, other)


def test_a_network_that_diverges_does_its_neighbours_no_harm():
    alone = train(differing("mlp"))
    stack = differing("mlp")
    wild = tiny({"seed": 9, "stop.max_epochs": 12, "optimizer.lr": 1e12}, "model=mlp")
    together = train([*stack[:2], wild, *stack[2:]])
    assert together.pop(2).result.stop_reason == "diverged"
    for one, other in zip(together, alone, strict=True):
        close(one, other)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_lower_precision_is_near(precision):
    plain = {"stop.train_loss": 0.0, "stop.max_epochs": 2}
    (one,), (other,) = train([tiny(plain | {"numerics.precision": precision})]), train([tiny(plain)])
    assert one.result.metrics["train_loss"] == pytest.approx(other.result.metrics["train_loss"], rel=0.05)


def test_compiled_steps_are_captured_too():
    plain = {"stop.train_loss": 0.0, "stop.max_epochs": 4}
    (one,), (other,) = train([tiny(plain | {"numerics.compile": True})]), train([tiny(plain)])
    close(one, other)


def test_networks_train_where_memory_is_short():
    """Another allocation holds nearly all of the device."""
    networks = 64
    configs = [
        tiny({"model.width": 512, "model.depth": 3, "seed": i, "stop.train_loss": 0.0, "stop.max_epochs": 1})
        for i in range(networks)
    ]
    training_pool = pool.Pool("cuda:0")
    parameters = sum(p.numel() for p in train(configs[:1])[0].parameters.values())
    held = None
    try:
        free, _ = torch.cuda.mem_get_info(DEVICE)
        room = 4 * parameters * networks * 3  # enough for some of the copies that a step of all needs
        held = torch.empty(max(0, free - room - 2**29), dtype=torch.uint8, device=DEVICE)
        found = [event for event in training_pool.train(configs) if isinstance(event, Result)]
    finally:
        del held
        torch.cuda.empty_cache()
        training_pool.close()
    assert sorted(event.network for event in found) == list(range(networks))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_stacks_go_to_every_device():
    training_pool = pool.Pool("cuda")
    try:
        assert len(training_pool.devices) == torch.cuda.device_count()
        configs = differing("mlp", 8)
        found = {e.network: e for e in training_pool.train(configs) if isinstance(e, Result)}
        assert len(training_pool._workers) == min(8, torch.cuda.device_count())
    finally:
        training_pool.close()
    for i, one in enumerate(helpers.train(configs)):
        assert found[i].metrics["distance_from_init"] == pytest.approx(
            one.result.metrics["distance_from_init"], rel=0.02
        )


def test_memory_is_given_back():
    train(differing("mlp"))
    before = torch.cuda.memory_allocated(DEVICE)
    for _ in range(3):
        train(differing("mlp"))
    assert torch.cuda.memory_allocated(DEVICE) <= before + 2**20
