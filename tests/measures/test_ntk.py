"""The tangent kernel against explicit Jacobians and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from initdist.measures import MeasureInputs, ntk
from initdist.measures._kernel import kernel
from initdist.stacks import stack
from initdist.stacks.stack import Parameters, Stack, StackedModel
from tests.helpers import CPU, make
from tests.measures.searched import fresh, linear, permuted, samples, trained, values


def _explicit(model: StackedModel, parameters: Parameters, inputs: Tensor) -> Tensor:
    """sum_c J_c J_c^T of the whole network's Jacobian [n, C, p] in the parameters before multiplication."""

    def outputs(parameters: Parameters) -> Tensor:
        used = {name: p * model.multipliers.get(name, 1.0) for name, p in parameters.items()}
        return functional_call(model.module, used, (inputs.double(),))

    jacobian = jacrev(outputs)({name: p.double() for name, p in parameters.items()})
    total: Tensor = sum(torch.einsum("icp,jcp->ij", j.flatten(2), j.flatten(2)) for j in jacobian.values())
    return total if model.output_scale is None else model.output_scale**2 * total


def _one(given: Stack, index: int) -> Parameters:
    return {name: p[index] for name, p in given.parameters.items()}


CASES = [
    ("mlp", {}),
    ("mlp", {"model.bias": False, "model.activation": "tanh"}),
    ("mlp", {"model.init": "ntk"}),
    ("mlp", {"model.output_scale": 3.0}),
    ("linear", {}),
    ("cnn", {}),
    ("cnn", {"model.init": "ntk", "model.head": "average"}),
    ("resnet", {}),
    ("resnet", {"model.norm": "none"}),
]


@pytest.mark.parametrize(("model", "overrides"), CASES)
def test_the_kernel_against_explicit_jacobians(model: str, overrides: dict) -> None:
    subject = trained(model, 2, tuple(overrides.items()))
    inputs = subject.data.train_slice(0, 12)[0]
    for index in range(2):
        parameters = _one(subject.trained, index)
        found = kernel(subject.trained.model, parameters, inputs[index], 10)
        expected = _explicit(subject.trained.model, parameters, inputs[index])
        assert found.dtype == torch.float64
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


class _Twice(nn.Module):
    """A layer used twice, a parameter outside of layers, and a linear layer on more than vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.shared(torch.relu(self.shared(inputs.flatten(1)))) * self.scale)
        result: Tensor = self.last(hidden)
        return result


class _Rows(nn.Module):
    """A linear layer on the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(2, 3)
        self.last = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.last(torch.tanh(self.rows(inputs.squeeze(1))).flatten(1))
        return result


@pytest.mark.parametrize("module", [_Twice, _Rows])
def test_modules_of_any_structure(module: type[nn.Module]) -> None:
    torch.manual_seed(1)
    own = module()
    model = StackedModel(own)
    parameters = {name: p.detach() for name, p in own.named_parameters()}
    inputs = torch.randn(5, 1, 2, 2)
    expected = _explicit(model, parameters, inputs)
    assert torch.allclose(kernel(model, parameters, inputs, 3), expected, rtol=1e-4, atol=1e-5)
    assert all(p.grad is None for p in own.parameters())
    assert not any(part._forward_hooks for part in own.modules())


INPUTS = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-1.0, 1.0]]


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_network_has_the_kernel_of_its_inputs(bias: bool) -> None:
    """K = C (X X^T + 1): training does not change it."""
    subject = linear(
        [[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]], [1.0, 2.0, 3.0] if bias else None, samples(INPUTS, [0, 1, 2, 0], 3)
    )
    x = np.array(INPUTS)
    expected = 3 * (x @ x.T + bias)
    assert subject.once(ntk._trained)[0].numpy() == pytest.approx(expected, rel=1e-6)
    assert values(subject, "ntk_change")["ntk_change", None] == [0.0]


def test_the_change_by_hand() -> None:
    """f = v ReLU(u x) with one unit: K = ReLU(u x) ReLU(u x') + v^2 x x' where both are above 0."""
    config = make({"model.width": 1, "model.depth": 1, "model.bias": False})
    model = stack.build([config], (1, 1, 1), 1, CPU).model
    before = Stack(model, {"1.weight": torch.tensor([[[1.0]]]), "3.weight": torch.tensor([[[2.0]]])})
    after = Stack(model, {"1.weight": torch.tensor([[[3.0]]]), "3.weight": torch.tensor([[[-1.0]]])})
    subject = MeasureInputs(after, before, samples([[1.0], [2.0], [-1.0]], [0, 0, 0], 1))
    # K_0 = (1 + 4) x x', K = (9 + 1) x x' over x = 1, 2
    assert subject.once(ntk._initial)[0].tolist() == [[5, 10, 0], [10, 20, 0], [0, 0, 0]]
    assert values(subject, "ntk_change")["ntk_change", None] == pytest.approx([1.0])


def test_alignment_by_hand() -> None:
    """Inputs that are the one-hot labels have the labels' own kernel; a constant kernel has nothing once centred."""
    hot = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    aligned = linear([[0.0, 0.0], [0.0, 0.0]], None, samples(hot, [0, 1, 0, 1]))
    assert values(aligned, "ntk_alignment")["ntk_alignment", None] == pytest.approx([1.0])
    crossed = linear([[0.0, 0.0], [0.0, 0.0]], None, samples(hot, [0, 0, 1, 1]))
    assert values(crossed, "ntk_alignment")["ntk_alignment", None] == pytest.approx([0.0], abs=1e-12)
    # x = 0, 1, 2 of classes 0, 0, 1, centred x = -1, 0, 1 and y = -1/3, -1/3, 2/3 (and minus that):
    # <K, L> = (x y)^2 2 = 2, ||K|| = 2, ||L|| = 2 (1/9 + 1/9 + 4/9) = 4/3
    partly = linear([[0.0], [0.0]], None, samples([[0.0], [1.0], [2.0]], [0, 0, 1]))
    assert values(partly, "ntk_alignment")["ntk_alignment", None] == pytest.approx([2 / (2 * 4 / 3)])


def test_permuting_hidden_units_changes_nothing() -> None:
    subject = trained()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    moved = fresh(subject, trained=permuted(subject.trained, order), initial=permuted(subject.initial, order))
    before = values(fresh(subject), "ntk")
    for key, value in values(moved, "ntk").items():
        assert value == pytest.approx(before[key], rel=1e-5), key
