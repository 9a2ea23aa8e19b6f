"""Margins, and the norms divided by them. gamma is the quantile of the training margins that `measures.margin` names.

A network with gamma <= 0 has the value +infinity: the bounds behind these measures say nothing about it. The public
code of arXiv 2010.11924 takes the absolute value of the margin instead, which ranks the worst networks among the best.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure
from initdist.measures.core import log_prod_of_spec
from initdist.measures.norms import log_prod_of_fro, log_sum, path_norm, ratios
from initdist.stacks.evaluation import sum_in_order

_JIANG = "arXiv 1912.02178, eq. "
_OPTIONS = ("margin",)


@measure(group="margins", formula="max(1, m // 20)-th smallest training margin", source=_JIANG + "22", orientation=-1)
def margin_p5(subject: MeasureInputs) -> Values:
    return subject.margin("p5")


@measure(group="margins", formula="1 / gamma^2", source=_JIANG + "22", normalization="square", options=_OPTIONS)
def inverse_margin(subject: MeasureInputs) -> Tensor:
    return over_margin(torch.ones_like(subject.gamma), subject, power=2)


@measure(
    group="margins",
    formula="sum_k ln ||W_k||_2^2 - 2 ln gamma",
    source=_JIANG + "31",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_prod_of_spec_over_margin(subject: MeasureInputs) -> Tensor:
    return log_over_margin(log_prod_of_spec(subject), subject)


@measure(
    group="margins",
    formula="log_prod_of_spec_over_margin + ln sum_k ||D_k||_F^2 / ||W_k||_2^2",
    source=_JIANG + "29",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_spec_init_main(subject: MeasureInputs) -> Tensor:
    return _log_spec_main(subject.frobenius_distances, subject)


@measure(
    group="margins",
    formula="log_prod_of_spec_over_margin + ln sum_k ||W_k||_F^2 / ||W_k||_2^2",
    source=_JIANG + "30",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_spec_orig_main(subject: MeasureInputs) -> Tensor:
    return _log_spec_main(subject.frobenius_norms, subject)


@measure(
    group="margins",
    formula="ln d + log_prod_of_spec_over_margin / d",
    source=_JIANG + "34",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_sum_of_spec_over_margin(subject: MeasureInputs) -> Tensor:
    return log_sum(log_prod_of_spec_over_margin(subject), subject)


@measure(
    group="margins",
    formula="sum_k ln ||W_k||_F^2 - 2 ln gamma",
    source=_JIANG + "36",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_prod_of_fro_over_margin(subject: MeasureInputs) -> Tensor:
    return log_over_margin(log_prod_of_fro(subject), subject)


@measure(
    group="margins",
    formula="ln d + log_prod_of_fro_over_margin / d",
    source=_JIANG + "38",
    normalization="log",
    needs="chain",
    options=_OPTIONS,
)
def log_sum_of_fro_over_margin(subject: MeasureInputs) -> Tensor:
    return log_sum(log_prod_of_fro_over_margin(subject), subject)


@measure(
    group="margins",
    formula="path_norm / gamma^2",
    source=_JIANG + "43",
    normalization="square",
    needs="homogeneous",
    options=_OPTIONS,
)
def path_norm_over_margin(subject: MeasureInputs) -> Tensor:
    return over_margin(path_norm(subject), subject, power=2)


def over_margin(value: Tensor, subject: MeasureInputs, power: int = 1) -> Tensor:
    """value / gamma^power [N]; +infinity where gamma <= 0, NaN where gamma is."""
    return unless_wrong(value / subject.gamma**power, subject)


def log_over_margin(log_value: Tensor, subject: MeasureInputs) -> Tensor:
    """log_value - 2 ln gamma [N]; likewise."""
    return unless_wrong(log_value - 2 * subject.gamma.clamp(min=0).log(), subject)


def unless_wrong(value: Tensor, subject: MeasureInputs) -> Tensor:
    """The value [N], or +infinity where gamma <= 0."""
    return value.masked_fill(subject.gamma <= 0, torch.inf)


def _log_spec_main(numerators: Mapping[str, Tensor], subject: MeasureInputs) -> Tensor:
    log_sum_of_ratios = sum_in_order(ratios(numerators, subject.spectral_norms).values()).log()
    return unless_wrong(log_prod_of_spec_over_margin(subject) + log_sum_of_ratios, subject)
