"""Curvature: the Hessian H of the mean training loss on the first `measures.hessian_subset` training samples.

In all trained parameters, those before the multipliers of the NTK parametrization. The loss is the one trained on,
without penalties; with `model.output_scale` it is not divided by alpha^2. A subset has a larger top than the whole
training set. Passes in float32, products of vectors in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, _directions, measure
from initdist.measures._part import Part, by_row, column, over_parts, standard_error
from initdist.stacks.evaluation import ROWS
from initdist.stacks.stack import Parameters

_NOTHING = 1e-6  # of the Hessian's scale, in float32


@measure(
    group="curvature",
    formula="tr H = tr Q^T H Q + E z^T P H P z over random signs z, P = 1 - Q Q^T, Q from Lanczos",
    source="arXiv 2010.09649 with the space of Lanczos; by signs alone in arXiv 1912.07145",
    options=("hessian_subset", "probes", "lanczos_steps"),
)
def hessian_trace(subject: MeasureInputs) -> Values:
    """Hutchinson's estimate, for what is left of H outside of the space Q of `hessian_top`, whose part is exact: a few
    large eigenvalues make most of the variance. `hessian_trace/error` is the standard error over `measures.probes` sign
    vectors z. At the defaults (32, after 16 steps of Lanczos) it was 0.8 to 2.5 % of the trace for small networks of
    each model on digits, 2 to 5 % for resnets, where large eigenvalues of both signs cancel; over 120 draws the value
    was off from the exact one by 0.97 of it in root mean. 8 signs alone, the default before, missed by up to 37 %."""
    found = subject.once(_spectrum)
    return {None: found["trace"], "error": found["trace error"]}


@measure(
    group="curvature",
    formula="largest eigenvalue of H (Lanczos)",
    source="arXiv 1912.07145",
    options=("hessian_subset", "lanczos_steps"),
)
def hessian_top(subject: MeasureInputs) -> Values:
    """From below. `hessian_top/error` is ||H v - lambda v||: so near to lambda there is an eigenvalue of H. For small
    networks of each model on digits it was below 0.1 % of the largest eigenvalue after 16 steps, the default; after 8
    up to 3 %, and the value up to 4 % too low."""
    found = subject.once(_spectrum)
    return {None: found["top"], "error": found["top error"]}


def _spectrum(subject: MeasureInputs) -> dict[str, Tensor]:
    """Trace and largest eigenvalue with their errors, each [N]: they share the steps of Lanczos."""
    return over_parts(subject, subject.options.lanczos_steps + 5, lambda part: _of_part(part, subject))


def _of_part(part: Part, subject: MeasureInputs) -> dict[str, Tensor]:
    basis, inside, top = _lanczos(part, subject)
    samples = []
    for probe in range(1, subject.options.probes + 1):  # the signs numbered 0 began the space: nothing of them is left
        rest = _without(_flat(_directions.signs(part.trained, part.seeds, probe)), basis)
        image = _product(part, subject, _unflat(rest, part.trained.parameters))
        samples.append(_dot(rest, _flat(image)))
    outside = torch.stack(samples, dim=1)
    return {"trace": inside + by_row(torch.mean, outside), "trace error": standard_error(outside), **top}


def _lanczos(part: Part, subject: MeasureInputs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Lanczos with full reorthogonalization, from a vector of random signs.

    An orthonormal basis Q [N, steps, p], with zeros where the space is complete; tr Q H Q^T [N]; the top, its error.
    """
    stack = part.trained
    vector = _flat(_directions.signs(stack, part.seeds, 0))
    n, p = vector.shape
    vector, steps = vector / p**0.5, min(subject.options.lanczos_steps, p)
    basis = torch.zeros(n, steps, p, device=vector.device)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    inside = torch.zeros(n, dtype=torch.float64, device=vector.device)
    for step in range(steps):
        basis[:, step] = vector
        image = _flat(_product(part, subject, _unflat(vector, stack.parameters)))
        along = _dot(vector, image)
        inside = inside + along
        rest = _without(image, basis[:, : step + 1])
        length = _dot(rest, rest).sqrt()
        diagonal.append(along if step == 0 else along.where(beside[-1] != 0, diagonal[0]))
        beside.append(length.where(length > _NOTHING * torch.stack(diagonal).abs().amax(0), 0))
        # A space that the Hessian maps into itself is complete: zeros follow, and a value from within its spectrum.
        vector = (rest / column(length, rest)).where(column(beside[-1], rest) != 0, 0)
    return basis, inside, _largest(torch.stack(diagonal, dim=1), torch.stack(beside, dim=1))


def _largest(diagonal: Tensor, beside: Tensor) -> dict[str, Tensor]:
    """Largest eigenvalue of tridiagonal matrices, and its residual in the whole space, from [N, steps] each."""
    matrix = diagonal.diag_embed() + sum(beside[:, :-1].diag_embed(offset) for offset in (-1, 1))
    finite = matrix.isfinite().all(dim=(1, 2))
    values, vectors = torch.linalg.eigh(matrix.where(finite[:, None, None], 0))
    error = beside[:, -1] * vectors[:, -1, -1].abs()
    return {"top": values[:, -1].where(finite, torch.nan), "top error": error.where(finite, torch.nan)}


def _product(part: Part, subject: MeasureInputs, along: Parameters) -> Parameters:
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
