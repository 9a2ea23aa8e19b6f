"""What only a CUDA device can show: captured epochs, precision, memory, several devices."""

import pytest
import torch

from initdist.data import stack_data
from initdist.events import Failed, MeasureTask, Result, ToMeasure
from initdist.stacks import losses, recording, weights
from initdist.training import job, loop, measuring, observer
from initdist.workers import pool
from tests import helpers
from tests.helpers import tiny

DEVICE = torch.device("cuda")
MODELS = ["mlp", "cnn", "resnet"]
CONTEXT = 3 * 2**29  # what CUDA, its libraries and their workspaces take of a process's memory

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
def test_captured_steps_are_those_that_are_launched(model, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # that two launched trainings need not differ
    captured = train(differing(model))
    launched = train(differing(model, **{"numerics.cuda_graphs": "false"}))
    assert len({one.result.step for one in captured}) > 1
    assert {one.result.graphs for one in captured} == {"used"}
    for one, other in zip(captured, launched, strict=True):
        close(one, other, 1e-5)


def test_steps_are_captured(monkeypatch):
    replays = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda self: (replays.append(1), replay(self)))
    train([tiny({"stop.train_loss": 0.0, "stop.max_epochs": 6, "dataset.train_size": 100, "optimizer.batch_size": 30})])
    # Of batches of 30 and of 10 the first step is launched; the second is captured, replayed once and launched.
    assert len(replays) == (6 * 3 - 1) + (6 - 1)


@pytest.mark.parametrize("changes", [
    {"optimizer.name": "adam"},
    {"optimizer.name": "momentum", "optimizer.momentum": 0.9, "optimizer.clip_norm": 1.0},
    {"numerics.precision": "tf32"},
    {"numerics.precision": "bfloat16"},
    {"model.init": "ntk", "model.output_scale": 2.0},
    {"model.linearize": True},
    {"model.linearize": True, "optimizer.name": "adam"},
    {"constraint.name": "init_ball", "constraint.radius": 0.3},
    {"constraint.name": "init_shell", "constraint.radius": 2.0, "optimizer.name": "adam"},
    {"constraint.name": "init_decay", "constraint.decay": 0.1, "optimizer.name": "momentum"},
], ids=str)  # fmt: skip
def test_other_steps_are_captured_too(changes):
    plain = {"stop.train_loss": 0.0, "stop.max_epochs": 4} | changes
    (one,) = train([tiny(plain)])
    (other,) = train([tiny(plain | {"numerics.cuda_graphs": "false"})])
    assert (one.result.graphs, other.result.graphs) == ("used", "not used: numerics.cuda_graphs=false")
    close(one, other, 1e-5)


def test_a_step_in_which_the_host_reads_from_the_device_is_launched(monkeypatch, capfd):
    """A real capture that fails, at a real operation that no graph can hold."""
    plain = {"stop.train_loss": 0.0, "stop.max_epochs": 3}
    (expected,) = train([tiny(plain)])
    cross_entropy = losses.LOSSES["cross_entropy"].loss

    def reads(logits, labels):
        float(torch.ones(1, device=logits.device))
        return cross_entropy(logits, labels)

    monkeypatch.setitem(losses.LOSSES._made, "cross_entropy", losses.LossMember(reads))
    monkeypatch.setattr(recording, "record", lambda *given: None)
    (found,) = train([tiny(plain)])
    assert found.result.graphs.startswith("not used: aten._local_scalar_dense.default failed in it")
    assert "steps are launched one by one" in capfd.readouterr().err
    close(found, expected, 1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_when_a_stack_shrinks_changes_no_result(share, monkeypatch):
    expected = [train([config])[0] for config in differing("mlp")]
    monkeypatch.setitem(loop.SHRINK, DEVICE.type, share)
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
        held = torch.empty(max(0, free - room - CONTEXT), dtype=torch.uint8, device=DEVICE)
        events = list(training_pool.train(helpers.to_train(configs)))
    finally:
        del held
        torch.cuda.empty_cache()
        training_pool.close()
    assert [event for event in events if isinstance(event, Failed)] == []
    assert sorted(event.network for event in events if isinstance(event, Result)) == sorted(map(str, range(networks)))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_another_device_than_the_first_one():
    second = torch.device("cuda", 1)
    before = torch.cuda.memory_allocated(DEVICE)
    for one, other in zip(helpers.train(differing("mlp"), second), train(differing("mlp")), strict=True):
        assert one.result.graphs == "used"
        close(one, other)
    assert torch.cuda.memory_allocated(DEVICE) <= before + 2**20


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_stacks_go_to_every_device():
    training_pool = pool.Pool("cuda")
    try:
        assert len(training_pool.devices) == torch.cuda.device_count()
        configs = differing("mlp", 8)
        found = {e.network: e for e in training_pool.train(helpers.to_train(configs)) if isinstance(e, Result)}
        assert len(training_pool._workers) == min(8, torch.cuda.device_count())
    finally:
        training_pool.close()
    for i, one in enumerate(helpers.train(configs)):
        assert found[str(i)].metrics["distance_from_init"] == pytest.approx(
            one.result.metrics["distance_from_init"], rel=0.02
        )


@pytest.mark.parametrize("optimizer", [{}, {"optimizer.name": "adam"}], ids=["sgd", "adam"])
def test_a_training_goes_on_from_where_it_was_written_down(optimizer):
    config = tiny({"stop.train_loss": 0.0, "stop.max_epochs": 8} | optimizer)
    (whole,) = train([config])
    events = list(job.train([config], DEVICE, every=1e-9))
    (kept,) = [event for event in events if isinstance(event, observer.Kept) and event.state.epoch == 4]
    *_, resumed = job.train([config], DEVICE, [kept.state])
    close(resumed, whole, 1e-4)


def test_measures_long_after_a_training_are_those_at_its_end(tmp_path):
    configs = differing("mlp", 3, **{"measures.names": ["core", "margins", "bounds"]})
    ended = train(configs)
    files = [tmp_path / f"{i}.safetensors" for i in range(len(ended))]
    for one, file in zip(ended, files, strict=True):
        weights.save(one.parameters, one.result.theta0, file)
    each = zip(configs, files, ended, strict=True)
    task = MeasureTask(tuple(ToMeasure(file.stem, c, str(file), one.result.theta0, {}) for c, file, one in each))
    measured = list(measuring.afterwards(task, DEVICE))
    for one, after in zip(ended, measured, strict=True):
        expected = one.result.measured.metrics
        assert after.measurement.metrics == pytest.approx(expected, rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("noise", ["shuffled_pixels", "random_pixels", "gaussian"])
@pytest.mark.parametrize("room", [True, False], ids=["kept", "made at every step"])
def test_noisy_inputs_are_those_of_a_cpu(noise, room, monkeypatch):
    configs = [tiny({"noise.level": 0.5, "seed": i, "stop.train_loss": 0.0}, f"noise={noise}") for i in range(2)]
    expected = helpers.train(configs)
    if not room:
        monkeypatch.setattr(stack_data, "CUDA_SHARE", 0.0)
    for one, other in zip(train(configs), expected, strict=True):
        close(one, other)
        assert one.result.graphs == "used" if room else one.result.graphs.startswith("not used: input noise is made")


def test_memory_is_given_back():
    train(differing("mlp"))
    before = torch.cuda.memory_allocated(DEVICE)
    for _ in range(3):
        train(differing("mlp"))
    assert torch.cuda.memory_allocated(DEVICE) <= before + 2**20
