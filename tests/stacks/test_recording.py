"""Recordings against the functions they were made from: the same bits, for fewer operations."""

import operator
from collections import Counter

import pytest
import torch
from torch.func import grad_and_value, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from initdist.stacks import evaluation, recording, rewriting, stack
from initdist.stacks.losses import LOSSES
from tests.helpers import CPU, make

SHAPE, CLASSES, BATCH = (1, 8, 8), 10, 13
VARIANTS = [
    ("mlp", {}),
    ("linear", {}),
    ("mlp", {"model.init": "ntk", "model.activation": "tanh"}),
    ("mlp", {"model.output_scale": 3.0, "model.bias": False}),
    ("cnn", {"model.downsample": "pool", "model.activation": "gelu"}),
    ("resnet", {}),
    ("mlp", {"model.linearize": True}),
    ("cnn", {"model.linearize": True, "model.downsample": "pool", "model.output_scale": 3.0}),
]


def built(model, changes, networks):
    stack._model.cache_clear()  # else all have their recordings in common
    return stack.build(
        [make({"model.width": 8, "seed": seed} | changes, f"model={model}") for seed in range(networks)],
        SHAPE,
        CLASSES,
        CPU,
    )


def batch(networks, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(networks, BATCH, *SHAPE, generator=generator)
    return inputs, torch.randint(0, CLASSES, (networks, BATCH), generator=generator)


@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_gradients_and_logits_do_not_change_when_recorded(model, changes, loss, networks, monkeypatch):
    plain, replayed = built(model, changes, networks), built(model, changes, networks)
    monkeypatch.setattr(recording, "WORTHWHILE", 0)
    for seed in range(3):
        data = batch(networks, seed)
        logits = replayed.forward(data[0])
        gradients, losses = replayed.gradients(LOSSES[loss].loss, *data)
        with monkeypatch.context() as never:
            never.setattr(recording, "WORTHWHILE", 1000)
            assert torch.equal(logits, plain.forward(data[0]))
            expected, expected_losses = plain.gradients(LOSSES[loss].loss, *data)
        assert torch.equal(losses, expected_losses)
        assert all(torch.equal(gradients[name], expected[name]) for name in expected)


def counted(function):
    calls = Counter()

    def counting(*given):
        calls["function"] += 1
        return function(*given)

    return recording.Recorded(counting, stacked=False), calls


def test_only_what_comes_up_often_is_recorded(monkeypatch):
    monkeypatch.setattr(recording, "WORTHWHILE", 5)
    double, calls = counted(lambda x: (x * 2,))
    for _ in range(5):
        double(torch.ones(3))
        double(torch.ones(4))
    assert calls["function"] == 10
    for _ in range(20):
        assert double(torch.full((3,), 2.0))[0].tolist() == [4, 4, 4]
    assert calls["function"] == 11  # once more, to be recorded


def test_strides_belong_to_the_shape(monkeypatch):
    monkeypatch.setattr(recording, "WORTHWHILE", 0)
    flat, _ = counted(lambda x: (x.reshape(-1),))
    matrix = torch.arange(6.0).view(2, 3)
    for given in (matrix, matrix.T.contiguous().T, matrix[:1].expand(2, 3)):
        assert torch.equal(flat(given)[0], given.reshape(-1))


def test_the_oldest_of_many_recordings_goes(monkeypatch):
    monkeypatch.setattr(recording, "WORTHWHILE", 0)
    double, _ = counted(lambda x: (x * 2,))
    for size in range(1, 2 * recording.KEPT):
        double(torch.ones(size))
    assert len(double._recordings) == recording.KEPT


def test_what_has_no_effect_is_left_out():
    (config,) = [make({"model.width": 8, "model.depth": 2})]
    network = stack.build([config] * 3, SHAPE, CLASSES, CPU)
    names = list(network.parameters)

    def loss(parameters, inputs, labels):
        return LOSSES["cross_entropy"].loss(network.model.logits(parameters, {}, inputs), labels).mean()

    def gradients(*given):
        found, value = vmap(grad_and_value(loss))(dict(zip(names, given, strict=False)), *given[-2:])
        return (*found.values(), value)

    recorded = recording.record(gradients, (*network.parameters.values(), *batch(3, 0)), any_size=True)
    called = Counter(str(node.target) for node in recorded.graph.nodes if node.target is not operator.getitem)
    assert called["aten.bmm.default"] == 8  # three layers: forward, of the weights, of the inputs but the first's
    assert not called.keys() & {"aten.detach.default", "aten.mul.Scalar", "aten._unsafe_view.default"}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_a_descent_in_place_is_the_gradient_times_the_rate(model, changes, loss):
    """In float64, where roundings do not matter."""
    one = built(model, changes, 3)
    one = stack.Stack(one.model, doubled(one.parameters), doubled(one.reference))
    other = one.clone()
    rates = torch.linspace(0.05, 0.2, 3, dtype=torch.float64)
    for seed in range(3):
        inputs, labels = batch(3, seed)
        given = inputs.double(), labels
        losses = one.descend(LOSSES[loss].loss, *given, rates)
        gradients, expected = other.gradients(LOSSES[loss].loss, *given)
        for name, p in other.parameters.items():
            p.sub_(gradients[name] * rates.view(-1, *[1] * (p.dim() - 1)))
            torch.testing.assert_close(one.parameters[name], p, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(losses, expected, rtol=1e-12, atol=0)


def doubled(parameters):
    return {name: p.double() for name, p in parameters.items()}


@pytest.mark.parametrize("model", ["mlp", "linear", "cnn"])
def test_one_recording_serves_stacks_of_any_size(model):
    stack._model.cache_clear()
    configs = [make({"model.width": 8, "seed": seed}, f"model={model}") for seed in range(7)]
    whole = stack.build(configs, SHAPE, CLASSES, CPU)
    parts = [whole.select(torch.tensor(keep)) for keep in ([0, 1, 2], [3], [4, 5, 6])]
    losses, parameters = [], whole.parameters
    inputs, labels = batch(7, 0)
    rates = torch.full((7,), 0.1)
    expected = whole.descend(LOSSES["cross_entropy"].loss, inputs, labels, rates)
    for part, own in zip(parts, ([0, 1, 2], [3], [4, 5, 6]), strict=True):
        losses.append(part.descend(LOSSES["cross_entropy"].loss, inputs[own], labels[own], rates[own]))
    assert torch.equal(torch.cat(losses), expected)
    for name, p in parameters.items():
        assert torch.equal(torch.cat([part.parameters[name] for part in parts]), p)
    ((_, recorded),) = whole.model._recorded.items()
    assert len(recorded._recordings) == 1


def test_a_product_is_added_without_ever_being_held():
    network = built("mlp", {"model.depth": 2}, 3)
    given = LOSSES["cross_entropy"].loss, *batch(3, 0), torch.full((3,), 0.1)
    network.descend(*given)
    with Performed() as performed:
        network.descend(*given)
    called = Counter(operation for operation, _ in performed.operations)
    assert called["aten.bmm.default"] == 5  # three layers forward, and of the inputs but the first's
    assert called["aten.baddbmm_.default"] == 3
    assert called["aten.sub_.Tensor"] == 3  # biases
    assert not called.keys() & {"aten.ones_like.default", "aten.mul.Tensor"}


class Performed(TorchDispatchMode):
    """What PyTorch performs: each operation and what it is given, tensors by their layouts."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        def plain(value):
            if isinstance(value, torch.Tensor):
                return tuple(value.shape), value.stride(), value.dtype
            return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value

        given = {name: plain(value) for name, value in (kwargs or {}).items()}
        self.operations.append((str(function), (*map(plain, args), given)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_functions_in_place_of_operator_objects_perform_the_same(model, changes, loss, monkeypatch):
    monkeypatch.setattr(recording, "WORTHWHILE", 0)
    found = []
    for call_directly in (rewriting.call_directly, lambda graph: None):
        monkeypatch.setattr(rewriting, "call_directly", call_directly)
        network = built(model, changes, 3)
        results = []
        for _ in range(2):  # recorded, and then replayed
            given, rates = batch(3, 0), torch.full((3,), 0.1)
            with Performed() as performed:
                results += [
                    network.forward(given[0]),
                    *network.gradients(LOSSES[loss].loss, *given)[0].values(),
                    network.descend(LOSSES[loss].loss, *given, rates),
                ]
        found.append((results, performed.operations))
    (results, operations), (expected, others) = found
    assert all(torch.equal(one, other) for one, other in zip(results, expected, strict=True))
    assert operations == others


def test_few_operator_objects_are_left():
    """Those that PyTorch has no function for, or that a step of a classifier has once."""
    network = built("mlp", {"model.depth": 2}, 3)
    network.descend(LOSSES["cross_entropy"].loss, *batch(3, 0), torch.full((3,), 0.1))
    ((_, recorded),) = network.model._recorded.items()
    (replayed,) = recorded._recordings.values()
    left = [node for node in replayed.graph.nodes if isinstance(node.target, torch._ops.OpOverload)]
    assert len(left) <= 6 < len(replayed.graph.nodes) / 5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [False, True])
def test_sums_of_losses_and_errors_do_not_change_when_recorded(loss, bad, monkeypatch):
    network = built("mlp", {}, 3)
    inputs, labels = batch(3, 0)
    if bad:
        inputs[1, 4] = torch.nan
    found = []
    for worthwhile in (1000, 0):
        monkeypatch.setattr(recording, "WORTHWHILE", worthwhile)
        found.append(evaluation._scored(network, LOSSES[loss].loss, inputs, labels))
    (sums, right), (recorded_sums, recorded_right) = found
    assert torch.equal(sums.nan_to_num(-1), recorded_sums.nan_to_num(-1))
    assert sums.isnan().tolist() == [[False, bad, False], [False] * 3]
    assert torch.equal(right, recorded_right)
    logits = network.forward(inputs)
    assert torch.equal(right, logits.argmax(-1) == labels)
    assert sums[1].tolist() == (~right).sum(1).tolist()


def test_an_update_waits_for_all_that_reads_what_it_changes():
    """Each of two tensors loses the other: the second must lose what the first was."""
    swap = recording.Recorded(lambda a, b: (a - b, b - a, a * b), stacked=False, updates=2)
    a, b = torch.tensor([5.0, 7.0]), torch.tensor([2.0, 3.0])
    (product,) = swap(a, b)
    assert (a.tolist(), b.tolist(), product.tolist()) == ([3.0, 4.0], [-3.0, -4.0], [10.0, 21.0])
