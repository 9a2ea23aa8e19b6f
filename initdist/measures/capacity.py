"""Capacity: the empirical Rademacher complexity of balls of networks that have the trained network's own radii,
E_xi sup (1/m) sum_i xi_i f(x_i) over random signs xi. f is one output without biases: of the last layer the row of one
class, with the whole layer's radius; the classes take turns over the draws.

A lower bound: the supremum is the best that `measures.capacity_steps` steps of projected gradient ascent find from
`measures.capacity_starts` starts, for each of `measures.capacity_draws` draws. `/error` is the standard error over the
draws, which depend on `seeds.init` and not on the width: across widths it largely cancels. On more than
`measures.capacity_subset` training samples it is the value of the first so many of them times the root of their share,
as it falls for a linear class.

With two hidden layers on MNIST, n = 1024, both balls took one core 2 s at width 64, 4 s at 256 and 30 s at 1024: three
minutes on two cores for thirty networks. Four times as many steps found 0.5 % more around the initialization and less
than 0.02 % more around the origin, at each width alike; more starts than two found up to 0.4 % more at width 16, and
nothing at 64. A ReLU network's closed forms are not known: for depth 1 and two inputs around the origin, and for six
weights around the initialization, it agreed with other searches to 2 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure
from initdist.measures._capacity import Ball, Draws, suprema
from initdist.measures._needs import NEEDS
from initdist.measures._part import by_row, standard_error
from initdist.measures._spectral import largest_singular_value
from initdist.stacks.evaluation import norm

_OPTIONS = ("capacity_draws", "capacity_starts", "capacity_steps", "capacity_subset")


@measure(
    group="capacity",
    formula="E_xi sup (1/m) sum_i xi_i (f(x_i) - f_0(x_i)) over weights V_k of f with ||V_k - Z_k||_F <= ||D_k||_F",
    source="arXiv 1901.01672",
    needs="dense",
    options=_OPTIONS,
)
def capacity_init_ball(subject: MeasureInputs) -> Values:
    """f_0, the ball's center, is the same in every draw and has mean zero. Beside it `/first_order`,
    r ||(1/m) sum_i xi_i grad f_0(x_i)||_2 with r^2 = sum_k ||D_k||_F^2: the value of the linearized network, no bound.
    At depth 1 `/theorem`, (||z|| + ||D_2||_F) (||D_1||_F ||X||_F + ||Z_1 X||_F) / m with the class's row z of Z_2: the
    main term of arXiv 1805.12076, theorem 1, by Cauchy-Schwarz and without its constants, so no bound either. For
    linear networks `/lower`, max_k ||D_k||_F ||z Z_{d-1}..Z_{k+1}||_2 ||Z_{k-1}..Z_1 v||_2, and `/upper`,
    [prod_k (||Z_k||_2 + ||D_k||_F) - prod_k ||Z_k||_2] ||v||_2, with v = (1/m) sum_i xi_i x_i of the same draws and z
    in place of Z_d."""
    draws = subject.once(Draws.of)
    ball = Ball(subject.initial_weights, subject.frobenius_distances, from_center=True)
    found = suprema(subject, ball, draws)
    assert found.slopes is not None  # an ascent begins at the center
    reach = norm([radii[:, None] for radii in ball.radii.values()])
    references = {"first_order": reach[:, None] * found.slopes}
    if not NEEDS["relu"].met(subject.trained.model):
        references |= _brackets(subject, draws)
    elif len(ball.radii) == 2:
        references["theorem"] = _theorem(subject, draws)
    return _with_error(found.values, references, subject, draws)


@measure(
    group="capacity",
    formula="E_xi sup (1/m) sum_i xi_i f(x_i) over weights V_k of f with ||V_k||_F <= ||W_k||_F",
    source="arXiv 1712.06541",
    needs="dense",
    options=_OPTIONS,
)
def capacity_origin_ball(subject: MeasureInputs) -> Values:
    """For linear networks beside it `/closed_form`, prod_k ||W_k||_F ||v||_2 with v = (1/m) sum_i xi_i x_i of the same
    draws."""
    draws = subject.once(Draws.of)
    centers = {layer: torch.zeros_like(weight) for layer, weight in subject.weights.items()}
    found = suprema(subject, Ball(centers, subject.frobenius_norms, from_center=False), draws)
    references = {}
    if not NEEDS["relu"].met(subject.trained.model):
        product = math.prod(subject.frobenius_norms.values(), start=torch.ones((), dtype=torch.float64))
        references["closed_form"] = product[:, None] * torch.linalg.vector_norm(draws.correlations, dim=2)
    return _with_error(found.values, references, subject, draws)


def _with_error(
    values: Tensor, references: Mapping[str, Tensor], subject: MeasureInputs, draws: Draws
) -> dict[str | None, Tensor]:
    """Means over the draws of values and references [N, J], scaled to all training samples; NaN where diverged."""
    scale = math.sqrt(draws.inputs.shape[1] / subject.data.train_size)
    finite = torch.stack([weight.flatten(1).isfinite().all(1) for weight in subject.weights.values()]).all(0)
    found = {None: by_row(torch.mean, values), "error": standard_error(values)}
    found |= {name: by_row(torch.mean, reference) for name, reference in references.items()}
    return {name: (scale * value).where(finite, torch.nan) for name, value in found.items()}


def _brackets(subject: MeasureInputs, draws: Draws) -> dict[str, Tensor]:
    """Of each draw [N, J], for linear networks: below and above what the ball around the initialization has."""
    *hidden, last = (weight.double() for weight in subject.initial_weights.values())
    radii = [radius[:, None] for radius in subject.frobenius_distances.values()]
    rows = draws.rows(last)
    before = [draws.correlations]  # Z_{k-1}..Z_1 v, from k = 1 on
    for weight in hidden:
        before.append(_each(before[-1], weight.mT))
    after = [rows]  # z Z_{d-1}..Z_{k+1}, from k = d - 1 down; at d there is nothing
    for weight in reversed(hidden[1:]):
        after.append(_each(after[-1], weight))
    lengths, gains = ([torch.linalg.vector_norm(part, dim=2) for part in parts] for parts in (before, after))
    gains = [*reversed(gains), torch.ones_like(lengths[0])]
    moved = [r * gain * length for r, gain, length in zip(radii, gains, lengths, strict=True)]
    norms = [*(largest_singular_value(weight)[:, None] for weight in hidden), gains[-2]]
    whole = math.prod(own + r for own, r in zip(norms, radii, strict=True)) - math.prod(norms)
    return {"lower": torch.stack(moved).amax(0), "upper": whole * lengths[0]}


def _theorem(subject: MeasureInputs, draws: Draws) -> Tensor:
    """Of each draw [N, J], for two layers; only the class differs between draws."""
    first, last = subject.initial_weights.values()
    moved, radius = (own[:, None] for own in subject.frobenius_distances.values())
    flat = draws.inputs.flatten(2).double()
    size = norm([flat])[:, None]
    before = norm([_each(flat, first.double().mT)])[:, None]
    outer = torch.linalg.vector_norm(draws.rows(last.double()), dim=2) + radius
    return outer * (moved * size + before) / flat.shape[1]


def _each(rows: Tensor, matrices: Tensor) -> Tensor:
    """Products [N, ., .] network by network: a single row or column rounds differently in a stack."""
    return torch.stack([one @ matrix for one, matrix in zip(rows, matrices, strict=True)])
