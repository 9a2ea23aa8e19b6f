"""Sharpness (Jiang et al. 2020, arXiv 1912.02178): how far the worst perturbation within a box may go.

a is the largest half-width of the box |u_i| <= a (magnitude-aware: a' and |u_i| <= a' |w_i|) in which gradient ascent
on the training loss does not cost 0.1 of the train accuracy, both on the first `measures.subset` training samples. An
upper bound: `measures.ascent_steps` signed steps need not find the worst perturbation (20 instead of 4 found 0 to 15%
smaller boxes on MNIST). `sharpness_alpha/error` is half of the search's final bracket; nothing is random. ln(m/s) has
the s of `pacbayes_sigma`, ln(m/s') that of `pacbayes_mag_sigma`.

The magnitude-aware forms are those of public code for the paper, with ln(2p) in place of ln(2p/delta) as in eq. 51,
and a box without epsilon, which alone can be larger than the plain one; they could not be checked against the paper.
As in `pacbayes_mag_orig`, the denominator of `sharpness_mag_orig` keeps |w_i - w0_i|, with ||w|| in the numerator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure
from initdist.measures._ascent import boxes
from initdist.measures._withstood import withstood
from initdist.measures.pacbayes import magnitude_divergence, movement
from initdist.stacks.evaluation import norm
from initdist.stacks.stack import Stack

_JIANG = "arXiv 1912.02178, eq. "
_MAGNITUDE_AWARE = "arXiv 1912.02178, magnitude-aware sharpness"
_OPTIONS = ("subset", "search_tolerance", "ascent_steps")
_BOUND_OPTIONS = (*_OPTIONS, "draws")
_MAG = "1/4 sum_i ln[(1e-6 + (a'^2 + 4 ln(2p)) ||{}||^2/p)/(1e-6 + a'^2 (w_i - w0_i)^2)] + ln(m/s') + 10"


@measure(
    group="pacbayes",
    formula="a: perturbations |u_i| <= a cost 0.1 of the train accuracy",
    source=_JIANG + "51; bisection on [0, 2]",
    orientation=-1,
    options=_OPTIONS,
)
def sharpness_alpha(subject: MeasureInputs) -> Values:
    return _with_error(subject, "plain")


@measure(
    group="pacbayes",
    formula="||w - w_0||^2 ln(2p)/(4 a^2) + ln(m/s) + 10",
    source=_JIANG + "51",
    normalization="square",
    options=_BOUND_OPTIONS,
)
def sharpness_init(subject: MeasureInputs) -> Values:
    return _bound(subject, movement(subject))


@measure(
    group="pacbayes",
    formula="||w||^2 ln(2p)/(4 a^2) + ln(m/s) + 10",
    source=_JIANG + "52",
    normalization="square",
    options=_BOUND_OPTIONS,
)
def sharpness_orig(subject: MeasureInputs) -> Values:
    return _bound(subject, subject.trained.parameters)


@measure(group="pacbayes", formula="1/a^2", source=_JIANG + "54", normalization="square", options=_OPTIONS)
def sharpness_flatness(subject: MeasureInputs) -> Values:
    return subject.once(boxes)["plain"] ** -2


@measure(
    group="pacbayes",
    formula="a': perturbations |u_i| <= a' |w_i| cost 0.1 of the train accuracy",
    source=_MAGNITUDE_AWARE + "; bisection on [0, 2]",
    orientation=-1,
    options=_OPTIONS,
)
def sharpness_mag_alpha(subject: MeasureInputs) -> Values:
    return _with_error(subject, "magnitude")


@measure(
    group="pacbayes",
    formula=_MAG.format("w - w_0"),
    source=_MAGNITUDE_AWARE,
    normalization="square",
    options=_BOUND_OPTIONS,
)
def sharpness_mag_init(subject: MeasureInputs) -> Values:
    return _mag_bound(subject, movement(subject))


@measure(
    group="pacbayes",
    formula=_MAG.format("w"),
    source=_MAGNITUDE_AWARE,
    normalization="square",
    options=_BOUND_OPTIONS,
)
def sharpness_mag_orig(subject: MeasureInputs) -> Values:
    return _mag_bound(subject, subject.trained.parameters)


@measure(group="pacbayes", formula="1/a'^2", source=_MAGNITUDE_AWARE, normalization="square", options=_OPTIONS)
def sharpness_mag_flatness(subject: MeasureInputs) -> Values:
    return subject.once(boxes)["magnitude"] ** -2


def _with_error(subject: MeasureInputs, name: str) -> Values:
    """The error is half of the final bracket: nothing is random."""
    found = subject.once(boxes)
    return {None: found[name], "error": found[f"{name} error"]}


def _bound(subject: MeasureInputs, reference: Mapping[str, Tensor]) -> Tensor:
    a, s = subject.once(boxes)["plain"], subject.once(withstood)["plain"].sigma
    first = norm(reference.values()).square() * math.log(2 * _count(subject.trained)) / (4 * a.square())
    return first + math.log(subject.data.train_size) - s.log() + 10


def _mag_bound(subject: MeasureInputs, reference: Mapping[str, Tensor]) -> Tensor:
    a, s = subject.once(boxes)["magnitude"], subject.once(withstood)["magnitude"].sigma
    added = 4 * math.log(2 * _count(subject.trained))
    divergence = magnitude_divergence(reference, movement(subject), a, added)
    return divergence + math.log(subject.data.train_size) - s.log() + 10


def _count(stack: Stack) -> int:
    return sum(p[0].numel() for p in stack.parameters.values())
