"""What measures learn by passing inputs through networks: N networks, B batch, m training samples.

Micro-batches are of fixed size, so that memory does not grow with the data and a value does not depend on the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from initdist.measures._inputs import MeasureInputs
from initdist.measures._part import in_float32
from initdist.stacks import precision
from initdist.stacks.evaluation import norm
from initdist.stacks.stack import Parameters, Stack


def function_movement(subject: MeasureInputs) -> Tensor:
    """||f(X) - f_0(X)||_F^2 [N] over the training inputs X, in float64."""
    total = torch.zeros(len(subject.trained), dtype=torch.float64, device=subject.trained.device)
    for inputs, _ in subject.slices():
        moved = subject.trained.forward(inputs).double() - subject.initial.forward(inputs).double()
        total += torch.linalg.vector_norm(moved.flatten(1), dim=1).square()
    return total


def initial_unit_norms(subject: MeasureInputs) -> Tensor:
    """||z_j X||_2 [N, h] over the training inputs X, for each unit j of the first layer at initialization, no bias."""
    first = next(iter(subject.initial_weights.values()))
    total = torch.zeros(first.shape[:2], dtype=torch.float64, device=first.device)
    for inputs, _ in subject.slices():
        before = first @ inputs.flatten(2).mT  # [N, h, B]
        total += torch.linalg.vector_norm(before, dim=2, dtype=torch.float64).square()
    return total.sqrt()


def relu_flips(subject: MeasureInputs) -> tuple[list[Tensor], list[int]]:
    """For each ReLU of the module in turn, at how many [N] of its inputs over the training set the sign changed, and
    how many inputs there are."""
    flipped: list[Tensor] = []
    sizes: list[int] = []
    for inputs, _ in subject.slices():
        pairs = zip(_active(subject.trained, inputs), _active(subject.initial, inputs), strict=True)
        changes = [(trained != initial).flatten(1) for trained, initial in pairs]
        flipped = [change.sum(1) + (flipped[k] if flipped else 0) for k, change in enumerate(changes)]
        sizes = [change.shape[1] + (sizes[k] if sizes else 0) for k, change in enumerate(changes)]
    return flipped, sizes


def path_sum(stack: Stack, input_shape: tuple[int, ...], power: int = 2) -> Tensor:
    """Sum of outputs [N] with weights |w|^power and no biases, at the all-ones input, in float64."""
    raised = {
        name: p.double().abs().pow(power) if p.dim() > 2 else p.double() * 0 for name, p in _effective(stack).items()
    }
    ones = torch.ones(1, *input_shape, dtype=torch.float64, device=stack.device)
    (sums,) = _each(lambda parameters: (functional_call(stack.model.module, parameters, (ones,)).sum(),), raised)
    return sums


def radial_slopes(subject: MeasureInputs) -> Tensor:
    """sum_i <theta, grad l_i>^2 [N] over the training samples, in float64. l_i is a sample's loss, not over alpha^2.

    <theta, grad l_i> is the derivative of <theta, grad sum_j u_j l_j> by u_i: reverse differentiation twice, since
    PyTorch's forward differentiation takes seconds to load.
    """
    stack = in_float32(subject.trained)

    def slopes(parameters: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        def weighted(at: Parameters, shares: Tensor) -> Tensor:
            return (shares * subject.loss(stack.model.logits(at, reference, inputs), labels)).sum()

        def along(shares: Tensor) -> Tensor:
            found = grad(weighted)(parameters, shares)
            return reduce(torch.add, ((found[name] * p).sum() for name, p in parameters.items()))

        return (grad(along)(torch.ones_like(labels, dtype=inputs.dtype)),)

    total = torch.zeros(len(stack), dtype=torch.float64, device=stack.device)
    with precision.float32():
        for inputs, labels in subject.slices():
            (found,) = _each(slopes, stack.parameters, stack.reference, inputs, labels)
            total += norm([found]).square()
    return total


def _active(stack: Stack, inputs: Tensor) -> tuple[Tensor, ...]:
    """For each ReLU in turn, which of its inputs [N, B, ...] are above 0, in float32 whatever the precision."""
    return _each(partial(_active_of_one, stack.model.module), _effective(stack), inputs)


def _active_of_one(module: nn.Module, parameters: Parameters, inputs: Tensor) -> tuple[Tensor, ...]:
    found: list[Tensor] = []

    def keep(relu: nn.Module, given: tuple[Tensor, ...]) -> None:
        found.append(given[0] > 0)

    handles = [part.register_forward_pre_hook(keep) for part in module.modules() if isinstance(part, nn.ReLU)]
    try:
        functional_call(module, parameters, (inputs,))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found)


def _effective(stack: Stack) -> Parameters:
    """Parameters as the function uses them: times their multipliers in the NTK parametrization."""
    factors = stack.model.multipliers
    return {name: p * factors[name] if name in factors else p for name, p in stack.parameters.items()}


def _each(
    function: Callable[..., tuple[Tensor, ...]], parameters: Parameters, *given: Tensor | Parameters
) -> tuple[Tensor, ...]:
    """A function of one network's parameters and tensors, of every network of a stack.

    On a CPU one by one: there products with one row round differently for one network than for several.
    """
    first = next(iter(parameters.values()))
    if first.device.type != "cpu":
        return vmap(function)(parameters, *given)
    each = [function(*(_one(part, i) for part in (parameters, *given))) for i in range(len(first))]
    return tuple(torch.stack(part) for part in zip(*each, strict=True))


def _one(part: Tensor | Parameters, i: int) -> Tensor | Parameters:
    """The i-th network's tensors."""
    return part[i] if isinstance(part, Tensor) else {name: p[i] for name, p in part.items()}
