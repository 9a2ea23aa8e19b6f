"""Training processes: what they give back, and that one which breaks takes only its own stack with it."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from helpers import assert_same, facts, make, tiny, to_train, train
from safetensors import safe_open
from safetensors.torch import load_file

from initdist import cores, names
from initdist.config.schema import Config
from initdist.errors import DeviceError
from initdist.events import Event, Failed, MeasureTask, Progress, Result, Started, Task, ToTrain
from initdist.training import checkpoint, observer
from initdist.workers import pool


@pytest.fixture(scope="module")
def two() -> Iterator[pool.Pool]:
    """Two training processes, shared by the tests."""
    one = pool.Pool("cpu", workers=2)
    yield one
    one.close()


def seeds(count: int, changes: dict[str, Any] | None = None) -> list[Config]:
    return [tiny({"seed": seed} | (changes or {})) for seed in range(count)]


def results(events: Sequence[Event]) -> dict[str, Result]:
    found = [event for event in events if isinstance(event, Result)]
    assert len({one.network for one in found}) == len(found)
    return {one.network: one for one in found}


def failures(events: Sequence[Event]) -> dict[str, str]:
    return {network: one.error for one in events if isinstance(one, Failed) for network in one.networks}


def test_every_network_comes_back_with_its_own_result_and_weights(two: pool.Pool, tmp_path: Path) -> None:
    configs = [tiny({"seed": i, "noise.level": 0.5 * (i % 2), "optimizer.lr": 0.1 / (i + 1)}) for i in range(5)]
    files = [tmp_path / str(i) / "weights.safetensors" for i in range(5)]
    events = list(two.train(to_train(configs, files)))
    found = results(events)
    assert sorted(found) == list("01234")
    here = train(configs)
    for network, expected in enumerate(here):
        weights = observer.Trained(network, found[str(network)], load_file(files[network]))
        assert_same(weights, expected)
        with safe_open(files[network], "pt") as file:
            assert file.metadata() == {names.THETA0: expected.result.theta0}


def test_events_come_in_order(two: pool.Pool) -> None:
    events = list(two.train(to_train(seeds(4))))
    started = [set(one.networks) for one in events if isinstance(one, Started)]
    assert sorted(map(sorted, started)) == [["0", "1"], ["2", "3"]]
    for network in "0123":
        mine = [one for one in events if network in _about(one)]
        assert isinstance(mine[0], Started)
        assert [one.epoch for one in mine if isinstance(one, Progress)] == [0, 1, 2, 3]
        assert isinstance(mine[-1], Result)


def _about(event: Event) -> tuple[str, ...]:
    if isinstance(event, Progress):
        return tuple(event.batch_loss)
    return (event.network,) if isinstance(event, Result) else event.networks


def test_a_rerun_is_equal_bit_for_bit(two: pool.Pool, tmp_path: Path) -> None:
    configs = seeds(3)
    runs = []
    for run in ("first", "second"):
        files = [tmp_path / run / f"{i}.safetensors" for i in range(3)]
        found = results(list(two.train(to_train(configs, files))))
        runs.append([(repr(facts(found[str(i)])), files[i].read_bytes()) for i in range(3)])
    assert runs[0] == runs[1]


def test_no_networks_no_events_and_no_weights_where_none_are_wanted(two: pool.Pool, tmp_path: Path) -> None:
    assert list(two.train([])) == []
    assert len(results(list(two.train(to_train(seeds(1)))))) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_one_stack_fails_only_its_networks(two: pool.Pool, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    files = [tmp_path / ("blocked" if i == 0 else "free") / f"{i}.safetensors" for i in range(4)]
    events = list(two.train(to_train(seeds(4), files)))
    assert sorted(results(events)) == ["2", "3"]
    failed = failures(events)
    assert sorted(failed) == ["0", "1"]  # the stack of 0 and 1
    assert "Traceback" in failed["0"]
    assert re.search(r"(FileExists|NotADirectory)Error: .*blocked", failed["0"])
    assert sorted(results(list(two.train(to_train(seeds(4)))))) == list("0123")  # the process lives on


def test_a_killed_process_fails_only_its_networks_and_the_next_stacks_train() -> None:
    wide = {"model.width": 1100, "model.depth": 2, "dataset.train_size": 64, "stop.max_epochs": 2}  # one a stack
    lone = pool.Pool("cpu", workers=1)
    events: list[Event] = []
    try:
        for event in lone.train(to_train(seeds(3, wide))):
            if isinstance(event, Started) and not events:
                os.kill(lone._workers[0].process.pid, signal.SIGKILL)
            events.append(event)
    finally:
        lone.close()
    assert [one.networks for one in events if isinstance(one, Started)] == [("0",), ("1",), ("2",)]
    assert failures(events) == {"0": "the training process ended by signal 9"}
    assert sorted(results(events)) == ["1", "2"]


def test_the_neighbours_of_a_killed_process_finish() -> None:
    both = pool.Pool("cpu", workers=2)
    events: list[Event] = []
    try:
        for event in both.train(to_train(seeds(4, {"stop.max_epochs": 150, "stop.train_loss": 0.0}))):
            if isinstance(event, Started) and "2" in event.networks:
                (owner,) = [worker for worker in both._workers if "2" in worker.left]
                os.kill(owner.process.pid, signal.SIGKILL)
            events.append(event)
        assert failures(events) == dict.fromkeys("23", "the training process ended by signal 9")
        assert sorted(results(events)) == ["0", "1"]
    finally:
        both.close()


def test_a_process_that_died_between_two_jobs_is_replaced() -> None:
    both = pool.Pool("cpu", workers=2)
    try:
        assert len(results(list(both.train(to_train(seeds(2)))))) == 2
        process = both._workers[0].process
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        events = list(both.train(to_train(seeds(2))))
        assert failures(events) == {}
        assert len(results(events)) == 2
    finally:
        both.close()


def test_an_abandoned_job_does_not_talk_into_the_next() -> None:
    lone = pool.Pool("cpu", workers=1)
    try:
        for event in lone.train(to_train(seeds(2, {"stop.max_epochs": 1000, "stop.train_loss": 0.0}))):
            if isinstance(event, Progress):
                break
        events = list(lone.train(to_train(seeds(2, {"model.width": 8}))))
        assert [one.epoch for one in events if isinstance(one, Progress)] == [0, 1, 2, 3]
        assert len(results(events)) == 2
    finally:
        lone.close()


def test_a_closed_pool_has_no_processes() -> None:
    one = pool.Pool("cpu", workers=1)
    list(one.train(to_train(seeds(1))))
    (process,) = [worker.process for worker in one._workers]
    one.close()
    assert process.exitcode is not None


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        DeviceError, match=r"^device must be there, got cuda:99: \d+ CUDA devices found; use device=cpu$"
    ):
        pool.Pool("cuda:99")


def test_the_device_chosen_by_itself_is_there() -> None:
    chosen = pool.Pool("auto", workers=1)
    chosen.close()
    assert chosen.devices == ([f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"])


def test_as_many_processes_as_cores() -> None:
    assert pool.Pool("cpu").devices == ["cpu"] * cores.usable()
    assert 1 <= cores.usable() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("changes", "networks"), [({"model.width": 16}, 226), ({"model.width": 2048}, 1)])
def test_a_stack_holds_as_many_networks_as_fit_the_cache(changes: dict[str, Any], networks: int) -> None:
    from initdist.workers import worker

    config = make({"model.depth": 2, "optimizer.batch_size": 64} | changes)
    width = config.model.width
    parameters = (64 + 1) * width + (width + 1) * width + (width + 1) * 10
    activations = 64 * (64 + 4 * width + 10)  # batch x (flattened input, two layers and their ReLUs, outputs)
    assert worker.CPU_STACK_VALUES // max(parameters, activations) in (networks, 0)
    assert worker.capacity(config, torch.device("cpu")) == networks


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from hydra import compose, initialize_config_dir
from initdist import paths
from initdist.cli import compose as ours
from initdist.config import expansion
from initdist.events import ToTrain
from initdist.workers import pool
ours.register()
with initialize_config_dir(paths.conf_dir(), version_base="1.3"):
    changes = ["model.width=8", "dataset.train_size=64", "stop.max_epochs=2", "vary.seed=[0,1]", "device=cpu"]
    cfg = compose("config", overrides=changes)
training = pool.shared("cpu", 2)
networks = [ToTrain(str(i), config) for i, config in enumerate(expansion.networks(cfg))]
for event in training.train(networks):
    print(type(event).__name__)
print("heavy:", *sorted({{"torch", "torchvision", "sklearn"}} & set(sys.modules)))
print("main:", __spec__, bool(__file__))
"""


def test_a_script_needs_no_guard_and_its_process_never_imports_torch(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parents[1])))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sorted(lines[:-2]) == ["Progress"] * 6 + ["Result"] * 2 + ["Started"] * 2
    assert lines[-2:] == ["heavy:", "main: None True"]


LAST = 1500  # epochs
LONG, SHORT = {"stop.train_loss": 0.0, "optimizer.lr": 0.01}, {"stop.train_loss": 1e9, "optimizer.lr": 0.1}


def uneven(folder: Path | None) -> list[ToTrain]:
    """Two stacks of two networks: those of the second end with their first epoch. With checkpoints in a folder."""
    changes = [{"seed": i, "stop.max_epochs": LAST} | (LONG if i < 2 else SHORT) for i in range(4)]
    networks = to_train([tiny(one, "optimizer=momentum") for one in changes])
    if folder is None:
        return networks
    return [replace(one, checkpoint=str(folder / one.identity / "checkpoint.safetensors")) for one in networks]


def divided(training: pool.Pool, networks: list[ToTrain]) -> tuple[list[Event], bool]:
    """The events, and whether the first two networks, which begin as one stack, came to be in two processes."""
    events, seen = [], False
    for event in training.train(networks):
        events.append(event)
        seen |= sorted(sorted(worker.left) for worker in training._workers if worker.left) == [["0"], ["1"]]
    return events, seen


def when_asked(monkeypatch: pytest.MonkeyPatch, does: Callable[[pool._Worker], None]) -> None:
    """Do something as soon as a process was asked for its stack."""
    monkeypatch.setattr(pool, "SETTLED", 0.0)
    plain, done = pool.Pool._even_out, []

    def even_out(self: pool.Pool) -> None:
        plain(self)
        for worker in self._workers:
            if worker.dividing and not done:
                done.append(worker)
                does(worker)

    monkeypatch.setattr(pool.Pool, "_even_out", even_out)


def test_a_process_with_nothing_left_to_do_takes_over_a_part(
    two: pool.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results do not tell. Without checkpoints no stack is divided, nor where they cannot be written."""
    monkeypatch.setattr(pool, "SETTLED", 0.0)
    alone = {network.identity: facts(train([network.config])[0].result) for network in uneven(None)}
    for networks in (uneven(None), uneven(tmp_path)):
        events, seen = divided(two, networks)
        assert seen == (networks[0].checkpoint != "")
        assert sorted(n for one in events if isinstance(one, Started) for n in one.networks) == list("0123")
        assert [one.epoch for one in events if isinstance(one, Progress) and "0" in one.batch_loss] == [
            *range(LAST + 1)
        ]
        assert {network: facts(result) for network, result in results(events).items()} == alone


def test_stacks_that_are_not_divided() -> None:
    """One network, what was begun just now, on a GPU, compiled, without checkpoints."""
    networks = tuple(replace(one, checkpoint="file") for one in uneven(None)[:2])
    compiled, coarse = (
        tuple(replace(one, config=tiny(numerics)) for one in networks)
        for numerics in ({"numerics.compile": True}, {"numerics.precision": "bfloat16"})
    )
    asked = pool._Worker(cast(Any, None), cast(Any, None), "cpu", task=Task(networks), left={"0", "1"}, since=0.0)
    assert asked.divisible
    for change in (
        {"left": {"0"}},
        {"since": math.inf},
        {"since": time.monotonic()},
        {"device": "cuda:0"},
        {"task": Task(compiled)},
        {"task": Task(coarse)},
        {"task": Task(tuple(uneven(None)[:2]))},
        {"task": MeasureTask(())},
        {"task": None},
    ):
        assert not replace(asked, **cast(Any, change)).divisible, change


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux")
def test_a_stack_that_cannot_be_written_down_is_not_divided(
    two: pool.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has trained so far is not lost."""
    import resource

    asked: list[pool._Worker] = []
    when_asked(monkeypatch, asked.append)
    list(two.train(to_train(seeds(2))))  # so that both processes are there
    for worker in two._workers:
        resource.prlimit(worker.process.pid or 0, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        events, seen = divided(two, uneven(tmp_path))
    finally:
        two.close()
    assert len(asked) == 1
    assert not seen
    assert [one.epoch for one in events if isinstance(one, Progress) and "0" in one.batch_loss] == [*range(LAST + 1)]
    assert len(results(events)) == 4


def test_ctrl_c_while_a_stack_is_divided(two: pool.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: pool._Worker) -> None:
        raise KeyboardInterrupt

    networks = uneven(tmp_path)
    when_asked(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        deque(two.train(networks), maxlen=0)
    assert two._workers == []
    for network in networks[:2]:
        state = checkpoint.load(Path(network.checkpoint), network.identity)
        assert state is not None
        assert 0 < state.epoch < LAST
    assert len(results(list(two.train(networks)))) == 4


@pytest.mark.parametrize("which", ["asked", "idle"])
def test_a_process_that_dies_while_a_stack_is_divided(
    two: pool.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """That of the stack takes its networks with it. One with nothing left to do takes none: another does its part."""

    def kill(asked: pool._Worker) -> None:
        (idle,) = [worker for worker in two._workers if worker is not asked]
        victim = asked if which == "asked" else idle
        os.kill(victim.process.pid, signal.SIGKILL)
        victim.process.join()

    when_asked(monkeypatch, kill)
    events, _ = divided(two, uneven(tmp_path))
    failed = failures(events)
    assert sorted([*failed, *results(events)]) == list("0123")
    assert sorted(failed) == (["0", "1"] if which == "asked" else [])
