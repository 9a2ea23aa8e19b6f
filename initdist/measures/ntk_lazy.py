"""How far the linearized network would have to go: the lazy null model of the distance, in closed form.

It is a property of the initialization and the training set alone, so a network and its linearized twin share it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, measure
from initdist.measures._output_kernel import output_kernel
from initdist.stacks.evaluation import norm

RIDGE = 1e-10  # of the kernel's mean eigenvalue: what tells a singular kernel from rounding
FITS = 1e-3  # share of R that may be left over where a linearized network fits the targets


@measure(
    group="ntk",
    formula="sqrt(r^T K^-1 r), r = vec(Y - f_0(X)), K_(ic)(jd) = <grad f_c(x_i), grad f_d(x_j)> at theta_0",
    source="arXiv 1902.06720",
    normalization="root",
    options=("lazy_outputs",),
)
def lazy_distance(subject: MeasureInputs) -> Tensor:
    """The smallest ||theta - theta_0|| at which the linearized network f_0 + J(theta_0) (theta - theta_0) has the
    one-hot labels Y, those trained on, as its outputs at all training inputs X. It is where gradient descent on the
    squared error takes that network in the end, and is meant for this loss: a training that stops at a threshold has
    gone less far, and cross-entropy asks for outputs that grow without end. Networks trained in any way have it, as a
    reference that depends on their initialization and data alone. Of all trained parameters, before the multipliers of
    the NTK parametrization; with `model.output_scale` f_0 = 0. +infinity where no theta fits, as with fewer parameters
    than the m C outputs. K has m C rows, in float64: absent where these are more than `measures.lazy_outputs`."""
    classes, m = subject.data.shared.description.classes, subject.data.train_size
    n = len(subject.initial)
    if m * classes > subject.options.lazy_outputs:
        return torch.full((n,), torch.nan, dtype=torch.float64)
    inputs, labels = subject.data.train_slice(0, m)
    found = torch.stack([_distance(subject, index, inputs[index], labels[index], classes) for index in range(n)])
    return found.where(norm(subject.trained.parameters.values()).isfinite(), torch.nan)  # as all of what diverged


def _distance(subject: MeasureInputs, index: int, inputs: Tensor, labels: Tensor, classes: int) -> Tensor:
    model = subject.initial.model
    parameters = {name: p[index] for name, p in subject.initial.parameters.items()}
    kernel, outputs = output_kernel(model, parameters, inputs, classes)
    targets = (labels == torch.arange(classes, device=labels.device)[:, None]).double()
    return least_norm(kernel, (targets - outputs).flatten())


def least_norm(kernel: Tensor, residual: Tensor) -> Tensor:
    """sqrt(r^T K^-1 r) for K [n, n] and r [n]: the norm of the shortest v with J v = r, K = J J^T.

    +infinity where there is none, NaN where K or r is not finite.
    """
    if not (kernel.isfinite().all() and residual.isfinite().all()):
        return torch.full_like(residual[0], torch.nan)
    ridge = RIDGE * kernel.diagonal().mean()
    lower, failed = torch.linalg.cholesky_ex(
        kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    )
    solution = torch.cholesky_solve(residual[:, None], lower)[:, 0]
    left = torch.linalg.vector_norm(kernel @ solution - residual)
    fits = (failed == 0) & (left <= FITS * torch.linalg.vector_norm(residual))
    return (solution @ residual).clamp(min=0).sqrt().where(fits, torch.inf)
