"""Steps as graphs: used where they do what launched steps do, given up with a reason where they do not.

No graph can be made without a GPU: what stands for one here replays its step as a graph would, or fails as one can.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from initdist import names
from initdist.data import stack_data
from initdist.errors import DeviceError
from initdist.stacks import capture, memory
from initdist.stacks.capture import Graphs, Replay
from initdist.sweeps import run_records
from initdist.workers import pool, worker
from tests import helpers
from tests.helpers import CPU, tiny

Launch = Callable[[], None]
Capturing = Callable[[Launch], Replay]


class Recorder:
    """Replays what it was given; counts both. As the real one, launches it once to warm up."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, launch: Launch) -> Replay:
        self.captured += 1
        launch()

        def replay() -> None:
            self.replayed += 1
            launch()

        return replay


def failing(launch: Launch) -> Replay:
    """As a capture in which the host reads from the device."""
    torch.ones(1).item()
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with ...")


def changing(launch: Launch) -> Replay:
    """A graph that does a step twice."""
    return lambda: (launch(), launch())[0]


def exhausted(launch: Launch) -> Replay:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def exhausted_and_broken_off(launch: Launch) -> Replay:
    """The end of the capture fails too, and its error comes first."""
    try:
        exhausted(launch)
    finally:
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
    return launch


@pytest.fixture
def captured_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Capturing], None]:
    monkeypatch.setattr(capture, "_broken_off", [])
    return lambda how: monkeypatch.setattr(capture, "on", lambda device: how)


def several(**changes: object) -> list:
    """Networks that end at different epochs, with a last batch that is smaller than the others."""
    setting = {"stop.max_epochs": 6, "optimizer.lr": 0.2, "dataset.train_size": 100, "optimizer.batch_size": 30}
    return [tiny({**setting, "seed": i, "stop.train_loss": 0.3 * i, **changes}) for i in range(4)]


STEPS = {
    "sgd": {},
    "momentum": {"optimizer.name": "momentum", "optimizer.momentum": 0.9},
    "adam": {"optimizer.name": "adam"},
    "in a ball": {"constraint.name": "init_ball", "constraint.radius": 0.5},
}


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_networks_whose_steps_are_replayed_are_the_same(changes: dict, captured_by: Callable) -> None:
    expected = helpers.train(several(**changes))
    recorder = Recorder()
    captured_by(recorder)
    found = helpers.train(several(**changes))
    assert recorder.captured >= 2  # batches of 30, and those of 10
    assert recorder.replayed > 2 * recorder.captured
    for one, other in zip(found, expected, strict=True):
        assert one.result.graphs == "used"
        assert one.result.step == other.result.step
        assert all(torch.equal(values, other.parameters[name]) for name, values in one.parameters.items())


@pytest.mark.parametrize(("how", "why"), [
    (failing, "aten._local_scalar_dense.default failed in it (CUDA error: operation not permitted when stream is"),
    (changing, "it changes the parameters otherwise than the same step launched one by one"),
])  # fmt: skip
def test_a_graph_that_cannot_be_used_costs_nothing_but_time(
    how: Capturing, why: str, captured_by: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = helpers.train(several())
    captured_by(how)
    found = helpers.train(several())
    for one, other in zip(found, expected, strict=True):
        assert one.result.graphs.startswith(f"not used: {why}")
        assert all(torch.equal(values, other.parameters[name]) for name, values in one.parameters.items())
    said = capfd.readouterr().err
    assert said.count("steps are launched one by one, which is slower") == 1  # for all sizes of batches and stacks
    assert why in said


def test_a_step_that_fails_by_itself_is_no_obstacle_of_a_graph(captured_by: Callable) -> None:
    captured_by(Recorder())
    step = capture.Step(lambda batch: 1 / 0, list)
    with pytest.raises(ZeroDivisionError):
        step(torch.zeros(1), Graphs("auto", capture.on(CPU)))


def test_memory_that_a_capture_exhausts_is_no_obstacle_but_told_to_who_can_halve(captured_by: Callable) -> None:
    for how in (exhausted, exhausted_and_broken_off):
        captured_by(how)
        with pytest.raises(RuntimeError) as raised:
            helpers.train(several())
        assert memory.exhausted(raised.value)
        assert capture._broken_off == []


def test_a_capture_that_breaks_off_is_not_tried_again_in_this_process(
    captured_by: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    captured_by(failing)
    helpers.train(several())
    capfd.readouterr()
    (one,) = helpers.train(several()[:1])
    assert one.result.graphs.startswith("not used: an earlier capture in this process broke off: aten._local")
    assert capfd.readouterr().err == ""


def test_graphs_can_be_asked_for_and_forbidden(captured_by: Callable, capfd: pytest.CaptureFixture[str]) -> None:
    captured_by(failing)
    with pytest.raises(DeviceError, match=r"numerics\.cuda_graphs must be auto or false here, got true: aten\._local"):
        helpers.train(several(**{"numerics.cuda_graphs": "True"}))  # as the command line's `true` arrives
    capfd.readouterr()
    recorder = Recorder()
    captured_by(recorder)
    found = helpers.train(several(**{"numerics.cuda_graphs": "false"}))
    assert {one.result.graphs for one in found} == {"not used: numerics.cuda_graphs=false"}
    assert (recorder.captured, capfd.readouterr().err) == (0, "")


def test_noise_that_waits_for_the_device_is_told_of(captured_by: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    captured_by(Recorder())
    monkeypatch.setattr(stack_data, "CPU_BYTES", 0)
    noisy = [tiny({"noise.level": 0.5, "stop.max_epochs": 2}, "noise=gaussian")]
    (one,) = helpers.train(noisy)
    assert one.result.graphs.startswith("not used: input noise is made at every step")


def test_a_run_says_what_became_of_the_graphs(captured_by: Callable) -> None:
    captured_by(Recorder())
    (one,) = helpers.train(several()[:1])
    assert run_records.outcome(one.result, []).tags[names.CUDA_GRAPHS] == "used"
    brief = helpers.train([tiny({"stop.max_epochs": 1, "stop.train_loss": 0.0, "optimizer.batch_size": 0})])
    assert run_records.outcome(brief[0].result, []).tags[names.CUDA_GRAPHS] == "not used: too few steps"


def test_without_graphs_there_is_nothing_to_tell() -> None:
    (one,) = helpers.train(several()[:1])
    assert names.CUDA_GRAPHS not in run_records.outcome(one.result, []).tags


def test_steps_are_alike_to_within_rounding_for_each_network() -> None:
    before = torch.stack([torch.ones(50), 1e6 * torch.ones(50), torch.full((50,), torch.nan)])
    launched = before + torch.tensor([[1e-2], [1.0], [1.0]])
    assert capture.alike([before], [launched], [launched.clone()])
    rounded = launched.clone()
    rounded[0] += 1e-8
    assert capture.alike([before], [launched], [rounded])
    for network, error in ((0, 1e-3), (1, 10.0)):
        wrong = launched.clone()
        wrong[network] += error
        assert not capture.alike([before], [launched], [wrong])
    diverged = launched.clone()
    diverged[0, 0] = torch.inf
    assert not capture.alike([before], [launched], [diverged])


def test_a_step_of_no_length_is_checked_too() -> None:
    """With a tiny learning rate only the norm of the parameters says what a rounding is."""
    state = [torch.ones(2, 3)]
    step = capture.Step(lambda batch: None, lambda: state)
    graphs = Graphs("auto", lambda launch: lambda: state.__setitem__(0, state[0].mul_(1 + 1e-4)))
    for _ in range(2):
        step(torch.zeros(2, 1), graphs)
    assert graphs.obstacle.startswith("it changes the parameters otherwise")
    assert torch.equal(state[0], torch.ones(2, 3))


@pytest.mark.parametrize(("count", "expected"), [(0, None), (1, ["cuda:0"]), (3, ["cuda:0", "cuda:1", "cuda:2"])])
def test_devices_are_those_that_there_are(
    count: int, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool.Pool, "_ask", lambda self, worker, question, config=None: count)
    assert not worker._answered("cuda devices", None, "cpu") or torch.cuda.is_available()
    for device in ("auto", "cuda", f"cuda:{count - 1}"):
        if expected is not None:
            made = pool.Pool(device)
            assert made.devices == (expected if device in ("auto", "cuda") else [device])
            made.close()
    with pytest.raises(DeviceError, match=f"device must be there, got cuda:{count}: {count} CUDA devices found"):
        pool.Pool(f"cuda:{count}")
    if count == 0:
        made = pool.Pool("auto", 2)
        assert made.devices == ["cpu", "cpu"]
        made.close()


def test_gpus_that_cannot_be_used_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    full = {"cuda:0", "cuda:2"}

    def answer(self: pool.Pool, asked: pool._Worker, question: str, config: object = None) -> int:
        if question == "usable" and asked.device in full:
            raise DeviceError(f"device must be one that can be used, got {asked.device}: CUDA error: out of memory")
        return 3

    monkeypatch.setattr(pool.Pool, "_ask", answer)
    made = pool.Pool("auto")
    assert made.devices == ["cuda:1"]
    assert [one.device for one in made._workers] == ["cuda:1"]
    made.close()
    said = capfd.readouterr().err.splitlines()
    assert said == [
        f"initdist: device must be one that can be used, got {name}: CUDA error: out of memory. The other GPUs are used"
        for name in sorted(full)
    ]
    full.add("cuda:1")
    with pytest.raises(DeviceError, match=r"got cuda:0: CUDA error: out of memory; device=cpu trains without a GPU"):
        pool.Pool("auto")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_process_says_why_its_gpu_cannot_be_used() -> None:
    for question in ("usable", "capacity"):
        answer = worker._answered(question, tiny(), "cuda:0")
        assert isinstance(answer, DeviceError)
        assert str(answer).startswith("device must be one that can be used, got cuda:0: ")


def test_a_pass_over_data_takes_as_much_memory_whatever_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA, as `meta` stands for here."""
    from dataclasses import replace

    from initdist.stacks import evaluation, outline, stack

    made = stack.build([tiny({"seed": i}) for i in range(4)], (1, 8, 8), 10, CPU)
    values = outline.activations(made.model.module, (1, 8, 8))
    assert evaluation.rows_at_once(made) == evaluation.ROWS
    there = stack.Stack(replace(made.model, values=values), {k: p.to("meta") for k, p in made.parameters.items()})
    monkeypatch.setattr(evaluation, "CUDA_VALUES", 1000 * 4 * values)
    assert evaluation.rows_at_once(there) == 512
    assert evaluation.rows_at_once(there.select(torch.tensor([0], device="meta"))) == 2048
    monkeypatch.setattr(evaluation, "CUDA_VALUES", 1)
    assert evaluation.rows_at_once(there) == evaluation.CUDA_ROWS


def test_a_graph_has_memory_of_its_own() -> None:
    """What a network takes on a GPU: every copy of its parameters, and a step's needs twice."""
    sgd, adam = (tiny({"optimizer.name": name, "optimizer.batch_size": 10}) for name in ("sgd", "adam"))
    # 4 bytes times 4 copies of 1,000 parameters (Adam: 10), and twice 2,000 and 10 samples of 64 + 3 x 70 values
    assert worker.cuda_bytes(sgd, 1000, 70, (1, 8, 8)) == 53_920
    assert worker.cuda_bytes(adam, 1000, 70, (1, 8, 8)) == 77_920


@pytest.mark.parametrize("words", [
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
])  # fmt: skip
def test_memory_is_known_to_be_exhausted_whoever_says_so(words: str) -> None:
    assert memory.exhausted(RuntimeError(words))
    assert not memory.exhausted(RuntimeError("CUDA error: an illegal memory access was encountered"))
