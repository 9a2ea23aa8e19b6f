"""PAC-Bayes bounds and flatness (Jiang et al. 2020, arXiv 1912.02178), by search for the noise withstood.

w trained and w_0 initial parameters, p of them, biases and gains included: all are perturbed, and all count in the
norms. They are those that are trained: before the multipliers of the NTK parametrization; with `model.output_scale`
f_theta0 is part of the fixed function. s is a standard deviation, found on [0, 2] by bisection with one draw of noise,
then bracketed with all `measures.draws` of them to a relative `measures.search_tolerance`, and interpolated; the
accuracy is the mean over the draws, the same ones for every s, each on `measures.subset` training samples of its own.
`pacbayes_sigma/error` is its Monte-Carlo standard error; 2 means that the network withstands more.

Equation numbers are those of public code for arXiv 2010.11924, against which the formulas were checked; the paper's
appendix could not be read. In the magnitude-aware bounds the noise is in proportion to |w_i|, as there. Their formulas
are those of that code too, and are of other noise: `pacbayes_mag_init` holds half the Kullback-Leibler divergence from
a prior N(w_0, best variance) of noise in proportion to |w_i - w0_i|. In `pacbayes_mag_orig` the numerator is that of
noise in proportion to |w_i| and a prior at the origin, but the denominator is still that of |w_i - w0_i|: it is the
divergence of neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure
from initdist.measures._withstood import FLOOR, Withstood, withstood
from initdist.stacks.evaluation import norm, sum_in_order

_JIANG = "arXiv 1912.02178, eq. "
_OPTIONS = ("draws", "subset", "search_tolerance")
_SIGMA = "s: noise N(0, s^2) on every parameter costs 0.1 of the train accuracy"
_SIGMA_MAG = "s': noise N(0, s'^2 w_i^2 + 1e-6) costs 0.1 of the train accuracy"
_MAG = "1/4 sum_i ln[(1e-6 + (s'^2 + 1) ||{}||^2/p)/(1e-6 + s'^2 (w_i - w0_i)^2)] + ln(m/s') + 10"


@measure(group="pacbayes", formula=_SIGMA, source=_JIANG + "48; bisection on [0, 2]", orientation=-1, options=_OPTIONS)
def pacbayes_sigma(subject: MeasureInputs) -> Values:
    return _with_error(subject.once(withstood)["plain"])


@measure(
    group="pacbayes",
    formula="||w - w_0||^2/(4 s^2) + ln(m/s) + 10",
    source=_JIANG + "48",
    normalization="square",
    options=_OPTIONS,
)
def pacbayes_init(subject: MeasureInputs) -> Values:
    return _bound(subject, movement(subject))


@measure(
    group="pacbayes",
    formula="||w||^2/(4 s^2) + ln(m/s) + 10",
    source=_JIANG + "49",
    normalization="square",
    options=_OPTIONS,
)
def pacbayes_orig(subject: MeasureInputs) -> Values:
    return _bound(subject, subject.trained.parameters)


@measure(group="pacbayes", formula="1/s^2", source=_JIANG + "53", normalization="square", options=_OPTIONS)
def pacbayes_flatness(subject: MeasureInputs) -> Values:
    return subject.once(withstood)["plain"].sigma ** -2


@measure(
    group="pacbayes",
    formula=_SIGMA_MAG,
    source=_JIANG + "56; bisection on [0, 2]",
    orientation=-1,
    options=_OPTIONS,
)
def pacbayes_mag_sigma(subject: MeasureInputs) -> Values:
    return _with_error(subject.once(withstood)["magnitude"])


@measure(
    group="pacbayes",
    formula=_MAG.format("w - w_0"),
    source=_JIANG + "56",
    normalization="square",
    options=_OPTIONS,
)
def pacbayes_mag_init(subject: MeasureInputs) -> Values:
    return _mag_bound(subject, movement(subject))


@measure(group="pacbayes", formula=_MAG.format("w"), source=_JIANG + "57", normalization="square", options=_OPTIONS)
def pacbayes_mag_orig(subject: MeasureInputs) -> Values:
    return _mag_bound(subject, subject.trained.parameters)


@measure(group="pacbayes", formula="1/s'^2", source=_JIANG + "61", normalization="square", options=_OPTIONS)
def pacbayes_mag_flatness(subject: MeasureInputs) -> Values:
    return subject.once(withstood)["magnitude"].sigma ** -2


def movement(subject: MeasureInputs) -> dict[str, Tensor]:
    """w - w_0 [N, ...] of every parameter."""
    return {name: p - subject.initial.parameters[name] for name, p in subject.trained.parameters.items()}


def magnitude_divergence(
    reference: Mapping[str, Tensor], moved: Mapping[str, Tensor], scale: Tensor, added: float
) -> Tensor:
    """1/4 sum_i ln[(e^2 + (s^2 + added) ||reference||^2/p)/(e^2 + s^2 moved_i^2)] for s = scale [N], in float64."""
    count = sum(p[0].numel() for p in moved.values())
    top = FLOOR**2 + (scale.square() + added) * norm(reference.values()).square() / count
    below = sum_in_order(_log_sum(p, scale) for p in moved.values())
    return (count * top.log() - below) / 4


def _log_sum(moved: Tensor, scale: Tensor) -> Tensor:
    """sum_i ln(e^2 + s^2 moved_i^2) [N], network by network: a sum over a stack rounds differently for different N."""
    return torch.stack(
        [
            (one.double() * s).square_().add_(FLOOR**2).log_().sum()
            for one, s in zip(moved.unbind(), scale.unbind(), strict=True)
        ]
    )


def _with_error(found: Withstood) -> Values:
    return {None: found.sigma, "error": found.error}


def _bound(subject: MeasureInputs, reference: Mapping[str, Tensor]) -> Tensor:
    s = subject.once(withstood)["plain"].sigma
    return norm(reference.values()).square() / (4 * s.square()) + math.log(subject.data.train_size) - s.log() + 10


def _mag_bound(subject: MeasureInputs, reference: Mapping[str, Tensor]) -> Tensor:
    s = subject.once(withstood)["magnitude"].sigma
    divergence = magnitude_divergence(reference, movement(subject), s, 1)
    return divergence + math.log(subject.data.train_size) - s.log() + 10
