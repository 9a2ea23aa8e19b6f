"""Functions written down as operations, for any number of networks."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.func import grad, vmap

from initdist.stacks import recording
from initdist.stacks.tracing import Untraceable, trace, trace_any_size


def given(networks, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(networks, 3, 4, generator=generator), torch.randn(networks, 4, generator=generator)


def flattened(a, b):
    """Its views hold N and 3 N."""
    rows = a.reshape(-1, 4) * b.repeat_interleave(3, 0)
    return rows.reshape(len(a), 3, 4), rows.new_zeros(len(a)) + 1


def slopes(a, b):
    return (vmap(grad(lambda a, b: (a @ b).tanh().square().mean()))(a, b),)


@pytest.mark.parametrize("function", [flattened, slopes])
@pytest.mark.parametrize("traced_with", [1, 2, 5])
def test_what_is_traced_with_some_networks_holds_for_any_number(function, traced_with):
    traced = trace_any_size(function, given(traced_with))
    for networks in (1, 2, 3, 7):
        values = given(networks, seed=networks)
        for result, expected in zip(traced(*values), function(*values), strict=True):
            assert torch.equal(result, expected)


def test_arguments_that_lie_otherwise_in_memory_are_traced_as_they_lie():
    a, b = given(5)
    shared = b[:1].expand(5, 4)
    traced = trace_any_size(lambda a, b: (2 * a, b + 1), (a.transpose(1, 2), shared))
    arguments = [node.meta["layouts"][0] for node in traced.graph.nodes if node.op == "placeholder"]
    assert [layout.stride for layout in arguments] == [(12, 1, 4), (0, 1)]


def one_by_one(a, b):
    return (torch.stack([(one * other).sum() for one, other in zip(a, b, strict=True)]),)


def squares(a, b):
    return (a.new_zeros(len(a) ** 2),)


def updated(a, b):
    return (a.mul_(2),)


ANOTHER = torch.ones(4)


def with_another(a, b):
    return (b * ANOTHER,)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (one_by_one, "what is performed depends on the number of networks"),
        (squares, "4 and 9 of 2 and of 3 networks"),
        (updated, "changes one of its arguments"),
        (with_another, "a tensor is none of the arguments"),
    ],
)
def test_what_cannot_be_written_down_is_not_recorded(function, why):
    with pytest.raises(Untraceable, match=why):
        trace_any_size(function, given(4))
    assert recording.record(function, given(4), any_size=True) is None


def test_of_one_size_what_depends_on_it_is_traced():
    values = given(4)
    assert torch.equal(trace(one_by_one, values)(*values)[0], one_by_one(*values)[0])


WITHOUT = """
import sys
sys.path.insert(0, {tests!r})
import torch
from helpers import CPU, make
from initdist.workers import worker
from initdist.training import job
torch.set_num_threads(1)
config = make({{"model.width": 4, "dataset.train_size": 20, "stop.max_epochs": 3}})
worker.capacity(config, CPU)
list(job.train([config], CPU))
print("sklearn" in sys.modules)
"""


def test_a_training_process_imports_no_scikit_learn():
    script = WITHOUT.format(tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["False"]
