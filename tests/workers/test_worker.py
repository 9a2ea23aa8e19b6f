"""What a training process does with a stack that does not fit into memory."""

import pytest
import torch

from initdist.events import Done, Failed, Result, Started, Task, ToTrain
from initdist.stacks.stack import Stack
from initdist.training import observer
from initdist.workers import worker
from tests.helpers import CPU, Heard, facts, tiny

NETWORKS = ("7", "3", "5", "11", "2")


def run(configs) -> Heard:
    heard = Heard()
    worker._train(heard, Task(tuple(map(ToTrain, NETWORKS, configs))), CPU)
    assert isinstance(heard[0], Started)
    assert isinstance(heard[-1], Done)
    return heard


def results(heard) -> dict[str, Result]:
    return {event.network: event for event in heard if isinstance(event, Result)}


def configs():
    """Three epochs, but for one network that has enough after the first."""
    return [tiny({"seed": i, "stop.train_loss": 1000.0 if i == 3 else 0.0}) for i in range(len(NETWORKS))]


def short_of_memory(monkeypatch, most: int, after: int, error: Exception) -> None:
    """Stacks of more than `most` networks end in this error, from a certain step on."""
    steps = 0
    descend = Stack.descend

    def failing(self, *given):
        nonlocal steps
        steps += 1
        if len(self) > most and steps > after:
            raise error
        return descend(self, *given)

    monkeypatch.setattr(Stack, "descend", failing)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_stack_that_does_not_fit_is_halved_and_nothing_is_lost(monkeypatch, error):
    expected = results(run(configs()))
    assert expected["11"].stop_reason == "threshold"
    short_of_memory(monkeypatch, most=2, after=3, error=error)  # two steps an epoch: in the second epoch
    heard = run(configs())
    assert not [event for event in heard if isinstance(event, Failed)]
    assert sorted(event.network for event in heard if isinstance(event, Result)) == sorted(NETWORKS)  # each once
    found = results(heard)
    for network in NETWORKS:
        assert facts(found[network]) == facts(expected[network])


def test_networks_that_do_not_fit_one_by_one_fail_and_say_why(monkeypatch):
    short_of_memory(monkeypatch, most=0, after=3, error=ERRORS[0])
    heard = run(configs())
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert "CUDA out of memory" in failed.error
    assert sorted([*failed.networks, *results(heard)]) == sorted(NETWORKS)
    assert list(results(heard)) == ["11"]


def test_another_error_is_not_tried_again(monkeypatch):
    short_of_memory(monkeypatch, most=2, after=3, error=RuntimeError("shapes cannot be multiplied"))
    heard = run(configs())
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert sorted(failed.networks) == sorted(set(NETWORKS) - {"11"})
    assert list(results(heard)) == ["11"]


def test_the_points_of_a_history_are_of_part_of_the_test_set(monkeypatch):
    monkeypatch.setattr(observer, "CURVE_SAMPLES", 100)  # of 517: every fifth, 104 samples
    heard = run([tiny({"seed": i}) for i in range(len(NETWORKS))])
    for result in results(heard).values():
        assert all((values["test_error"] * 104) % 1 == pytest.approx(0, abs=1e-9) for _, values in result.history)
        assert (result.metrics["test_error"] * 517) % 1 == pytest.approx(0, abs=1e-9)
