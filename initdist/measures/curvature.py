"""Curvature: the Hessian H of the mean training loss on the first `measures.hessian_subset` training samples.

In all trained parameters, those before the multipliers of the NTK parametrization. The loss is the one trained on,
without penalties; with `model.output_scale` it is not divided by alpha^2. A subset has a larger top than the whole
training set. Passes in float32, products of vectors in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initdist.evaluation import ROWS
from initdist.measures import Subject, Values, _noise, measure
from initdist.measures._part import Part, by_row, column, over_parts, standard_error
from initdist.stack import Parameters

_NOTHING = 1e-6  # of the Hessian's scale, in float32


@measure(
    group="curvature",
    formula="tr H = E z^T H z over random signs z (Hutchinson)",
    source="arXiv 1912.07145",
    options=("hessian_subset", "probes"),
)
def hessian_trace(subject: Subject) -> Values:
    """`hessian_trace/error` is the standard error over `measures.probes` random sign vectors z."""
    found = over_parts(subject, 5, lambda part: _trace(part, subject))
    return {None: found["trace"], "error": found["error"]}


@measure(
    group="curvature",
    formula="largest eigenvalue of H (Lanczos)",
    source="arXiv 1912.07145",
    options=("hessian_subset", "lanczos_steps"),
)
def hessian_top(subject: Subject) -> Values:
    """From below. `hessian_top/error` is ||H v - lambda v||: so near to lambda there is an eigenvalue of H."""
    found = over_parts(subject, subject.options.lanczos_steps + 5, lambda part: _top(part, subject))
    return {None: found["top"], "error": found["error"]}


def _trace(part: Part, subject: Subject) -> dict[str, Tensor]:
    samples = []
    for probe in range(subject.options.probes):
        signs = _noise.signs(part.trained, part.seeds, probe)
        samples.append(_dot(_flat(signs), _flat(_product(part, subject, signs))))
    values = torch.stack(samples, dim=1)
    return {"trace": by_row(torch.mean, values), "error": standard_error(values)}


def _top(part: Part, subject: Subject) -> dict[str, Tensor]:
    """Lanczos with full reorthogonalization, from a vector of random signs."""
    stack = part.trained
    vector = _flat(_noise.signs(stack, part.seeds, 0))
    n, p = vector.shape
    vector, steps = vector / p**0.5, min(subject.options.lanczos_steps, p)
    basis = torch.zeros(n, steps, p, device=vector.device)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for step in range(steps):
        basis[:, step] = vector
        image = _flat(_product(part, subject, _unflat(vector, stack.parameters)))
        along = _dot(vector, image)
        rest = _without(image, basis[:, : step + 1])
        length = _dot(rest, rest).sqrt()
        diagonal.append(along if step == 0 else along.where(beside[-1] != 0, diagonal[0]))
        beside.append(length.where(length > _NOTHING * torch.stack(diagonal).abs().amax(0), 0))
        # A space that the Hessian maps into itself is complete: zeros follow, and a value from within its spectrum.
        vector = (rest / column(length, rest)).where(column(beside[-1], rest) != 0, 0)
    return _largest(torch.stack(diagonal, dim=1), torch.stack(beside, dim=1))


def _largest(diagonal: Tensor, beside: Tensor) -> dict[str, Tensor]:
    """Largest eigenvalue of tridiagonal matrices, and its residual in the whole space, from [N, steps] each."""
    matrix = diagonal.diag_embed() + sum(beside[:, :-1].diag_embed(offset) for offset in (-1, 1))
    finite = matrix.isfinite().all(dim=(1, 2))
    values, vectors = torch.linalg.eigh(matrix.where(finite[:, None, None], 0))
    error = beside[:, -1] * vectors[:, -1, -1].abs()
    return {"top": values[:, -1].where(finite, torch.nan), "error": error.where(finite, torch.nan)}


def _product(part: Part, subject: Subject, along: Parameters) -> Parameters:
    """H times directions [N, ...], in micro-batches of the subset."""
    inputs, labels = part.block(0, subject.options.hessian_subset)
    total = {name: torch.zeros_like(p) for name, p in along.items()}
    for start in range(0, labels.shape[1], ROWS):
        rows = slice(start, start + ROWS)
        found = part.trained.products(subject.loss, inputs[:, rows], labels[:, rows], along)
        share = labels[:, rows].shape[1] / labels.shape[1]
        for name, product in found.items():
            total[name].add_(product, alpha=share)
    return total


def _without(vectors: Tensor, basis: Tensor) -> Tensor:
    """Vectors [N, p] without their parts in the space of a basis [N, k, p]; twice, for what rounding leaves."""
    rest = []
    for vector, own in zip(vectors, basis, strict=True):
        once = vector - own.T @ (own @ vector)
        rest.append(once - own.T @ (own @ once))
    return torch.stack(rest)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Scalar products [N] of vectors [N, p], network by network: a sum over a stack rounds differently."""
    return torch.stack([torch.dot(a.double(), b.double()) for a, b in zip(one, other, strict=True)])


def _flat(parameters: Parameters) -> Tensor:
    """All parameters of a network as one vector [N, p]."""
    return torch.cat([p.flatten(1) for p in parameters.values()], dim=1)


def _unflat(vectors: Tensor, like: Parameters) -> Parameters:
    parts = vectors.split([p[0].numel() for p in like.values()], dim=1)
    return {name: part.reshape(p.shape) for (name, p), part in zip(like.items(), parts, strict=True)}
