"""Distances of other parameters with the same function: controls, since no such distance can be sufficient by itself.

A network of dense layers with ReLU computes the same where a layer is multiplied by a > 0 and the next one divided by
it, and where the units of a hidden layer change places. Its distance from the initialization is another then.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, measure
from initdist.stacks.evaluation import norm
from initdist.stacks.stack import Parameters

FACTOR = 2.0  # a power of 2: the function is the same to the last bit


@measure(
    group="norms",
    formula="||theta' - theta_0||_2, theta' = theta with its first layer times 2 and the next weights over 2",
    source="arXiv 1703.04933, section 3",
    normalization="root",
    needs="dense",
)
def rescaled_distance(subject: MeasureInputs) -> Tensor:
    """Of parameters that compute the same function: biases of the first layer are doubled too."""
    initial = subject.initial.parameters
    return norm(p - initial[name] for name, p in rescaled(subject.trained.parameters).items())


@measure(
    group="norms",
    formula="root mean square of ||P theta - theta_0||_2 over all permutations P of the units of each hidden layer",
    source="arXiv 1901.01672",
    normalization="root",
    needs="dense",
)
def permuted_distance(subject: MeasureInputs) -> Tensor:
    """Of parameters that compute the same function. In closed form: the mean of an inner product with a permuted
    factor is that of the sums over what is permuted."""
    trained, initial = subject.trained, subject.initial
    squares = sum(norm(one.parameters.values()).square() for one in (trained, initial))
    products = [_mean_product(_one(trained.parameters, i), _one(initial.parameters, i)) for i in range(len(trained))]
    return (squares - 2 * torch.stack(products)).clamp(min=0).sqrt()


def rescaled(parameters: Parameters) -> Parameters:
    """Parameters [N, ...] of a dense chain with the same function."""
    first, second, *_ = (name.removesuffix(".weight") for name, p in parameters.items() if p.dim() > 2)
    factors = {f"{first}.weight": FACTOR, f"{first}.bias": FACTOR, f"{second}.weight": 1 / FACTOR}
    return {name: p * factors[name] if name in factors else p for name, p in parameters.items()}


def permuted(parameters: Parameters, orders: list[Tensor]) -> Parameters:
    """Parameters [N, ...] of a dense chain with the units of each hidden layer in another order, the same function."""
    layers = [name.removesuffix(".weight") for name, p in parameters.items() if p.dim() > 2]
    changed = dict(parameters)
    for (layer, following), order in zip(pairwise(layers), orders, strict=True):
        for name in (f"{layer}.weight", f"{layer}.bias"):
            if name in changed:
                changed[name] = changed[name][:, order]
        changed[f"{following}.weight"] = changed[f"{following}.weight"][:, :, order]
    return changed


def _one(parameters: Parameters, i: int) -> Parameters:
    return {name: p[i].double() for name, p in parameters.items()}


def _mean_product(theta: Parameters, theta_0: Parameters) -> Tensor:
    """The mean of <P theta, theta_0> of one network over all P. Inputs and outputs keep their places."""
    last = [name.removesuffix(".weight") for name, p in theta.items() if p.dim() > 1][-1]
    first, total = True, torch.zeros((), dtype=torch.float64, device=next(iter(theta.values())).device)
    for name, p in theta.items():
        weight = p.dim() > 1
        moved = [0] if name.rpartition(".")[0] != last else []  # which dimensions are permuted
        if weight and not first:
            moved.append(1)
        first = first and not weight
        count = 1
        for dimension in moved:
            count *= p.shape[dimension]
        one, other = ((v.sum(moved) if moved else v) for v in (p, theta_0[name]))
        total = total + (one * other).sum() / count
    return total
