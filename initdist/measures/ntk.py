"""The empirical neural tangent kernel on the first `measures.ntk_subset` training samples, traced over the outputs.

K_ij = sum_c <grad f_c(x_i), grad f_c(x_j)> of the trained network, K_0 of the initial one, in all trained parameters.
Of a linearized network both are K_0: its `ntk_change` is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure
from initdist.measures._kernel import kernel
from initdist.stacks import precision
from initdist.stacks.stack import Stack


@measure(group="ntk", formula="||K - K_0||_F/||K_0||_F", source="arXiv 1806.07572", options=("ntk_subset",))
def ntk_change(subject: MeasureInputs) -> Values:
    before, after = subject.once(_initial), subject.once(_trained)
    return _norm(after - before) / _norm(before)


@measure(
    group="ntk",
    formula="<K_c, Y Y^T>/(||K_c||_F ||(Y Y^T)_c||_F), Y one-hot labels trained on, c: centred",
    source="arXiv 1203.0550; of the tangent kernel arXiv 2008.00938",
    orientation=-1,
    options=("ntk_subset",),
)
def ntk_alignment(subject: MeasureInputs) -> Values:
    labels = subject.data.labels[:, : subject.options.ntk_subset]
    same = _centred((labels[:, :, None] == labels[:, None, :]).double())
    own = _centred(subject.once(_trained))
    return _sum(own * same) / (_norm(own) * _norm(same))


def _initial(subject: MeasureInputs) -> Tensor:
    return _kernels(subject, subject.initial)


def _trained(subject: MeasureInputs) -> Tensor:
    return subject.once(_initial) if subject.trained.model.linearize else _kernels(subject, subject.trained)


def _kernels(subject: MeasureInputs, stack: Stack) -> Tensor:
    """[N, n, n] in float64, network by network."""
    inputs, _ = subject.data.train_slice(0, min(subject.options.ntk_subset, subject.data.train_size))
    classes = subject.data.shared.description.classes
    found = []
    with precision.float32():
        for index, own in enumerate(inputs):
            parameters = {name: p[index] for name, p in stack.parameters.items()}
            found.append(kernel(stack.model, parameters, own, classes))
    return torch.stack(found)


def _centred(matrices: Tensor) -> Tensor:
    """H A H of symmetric matrices [N, n, n], with H = 1 - 1/n."""
    n = matrices.shape[-1]
    away = torch.eye(n, dtype=matrices.dtype, device=matrices.device) - 1 / n
    return torch.stack([away @ matrix @ away for matrix in matrices])


def _sum(matrices: Tensor) -> Tensor:
    return torch.stack([matrix.sum() for matrix in matrices])


def _norm(matrices: Tensor) -> Tensor:
    """Frobenius norms [N]."""
    return torch.stack([torch.linalg.vector_norm(matrix) for matrix in matrices])
