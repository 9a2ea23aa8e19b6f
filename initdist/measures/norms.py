"""Products, sums and ratios of the layers' norms, path norms, and movement in function space.

The equations of arXiv 1912.02178 are numbered as in the public code of arXiv 2010.11924 (nitarshan/
robust-generalization-measures), against which the formulas were checked; the paper itself could not be read.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from initdist.evaluation import norm, sum_in_order
from initdist.measures import Subject, Values, _passes, measure, with_total
from initdist.measures.core import log_prod_of_spec

_JIANG = "arXiv 1912.02178, eq. "
_NAGARAJAN = "arXiv 1901.01672"


@measure(
    group="norms",
    formula="ln d + (sum_k ln ||W_k||_2^2) / d",
    source=_JIANG + "35",
    normalization="log",
    needs="chain",
)
def log_sum_of_spec(subject: Subject) -> Tensor:
    return log_sum(log_prod_of_spec(subject), subject)


@measure(group="norms", formula="sum_k ln ||W_k||_F^2", source=_JIANG + "37", normalization="log", needs="chain")
def log_prod_of_fro(subject: Subject) -> Tensor:
    return 2 * sum_in_order(frobenius.log() for frobenius in subject.frobenius_norms.values())


@measure(
    group="norms",
    formula="ln d + (sum_k ln ||W_k||_F^2) / d",
    source=_JIANG + "39",
    normalization="log",
    needs="chain",
)
def log_sum_of_fro(subject: Subject) -> Tensor:
    return log_sum(log_prod_of_fro(subject), subject)


@measure(group="norms", formula="sum_k ||W_k||_F^2 / ||W_k||_2^2", source=_JIANG + "33", normalization="square")
def fro_over_spec(subject: Subject) -> Values:
    """The sum of the layers' stable ranks."""
    layers = ratios(subject.frobenius_norms, subject.spectral_norms)
    return with_total(sum_in_order(layers.values()), layers)


@measure(
    group="norms",
    formula="sum_c f_{W^2}(1)_c: squared weights, no biases, the all-ones input",
    source=_JIANG + "44",
    normalization="square",
    needs="homogeneous",
)
def path_norm(subject: Subject) -> Tensor:
    """The sum over all paths from an input to an output of the product of their squared weights; pooling as in the
    network. Public code leaves the biases in, squared; here they are out, as everywhere but in distances of theta."""
    return _passes.path_sum(subject.trained, subject.data.shared.description.input_shape)


@measure(
    group="norms",
    formula="sum_j ||D_1[j,:]||_2 ||W_2[:,j]||_1 over the hidden units j",
    source="arXiv 2604.00505",
    normalization="root",
    needs="two_layers",
)
def path_norm_of_distance(subject: Subject) -> Tensor:
    """Depth 1. The source could not be read."""
    first = next(iter(subject.unit_distances.values()))
    second = list(subject.weights.values())[1]
    return (first * torch.linalg.vector_norm(second, ord=1, dim=1, dtype=torch.float64)).sum(1)


@measure(group="norms", formula="sqrt(mean over training x of ||f(x) - f_0(x)||_2^2)", source=_NAGARAJAN)
def function_distance(subject: Subject) -> Tensor:
    """How far the function moved: of alpha (f_theta - f_theta0) with `model.output_scale`, where f_0 = 0."""
    return (_passes.function_movement(subject) / subject.data.train_size).sqrt()


@measure(
    group="norms",
    formula="fraction of (training x, ReLU unit) whose input changed sign; of a layer relu1, relu2, ... in turn",
    source="arXiv 1812.07956",
    needs="relu",
)
def sign_flips(subject: Subject) -> Values:
    """Of f_theta between theta_0 and theta, units of all ReLUs counted alike: 0 in lazy training. The source discusses
    the lazy regime; the measure is this project's own."""
    counted, sizes = _passes.relu_flips(subject)
    finite = norm(subject.trained.parameters.values()).isfinite()  # NaN is not above 0 either
    layers = {f"relu{k + 1}": (flips / sizes[k]).where(finite, torch.nan) for k, flips in enumerate(counted)}
    return with_total((sum_in_order(counted) / sum(sizes)).where(finite, torch.nan), layers)


def log_sum(log_product: Tensor, subject: Subject) -> Tensor:
    """ln d + log_product / d [N] for d layers."""
    return math.log(len(subject.weights)) + log_product / len(subject.weights)


def ratios(numerators: Mapping[str, Tensor], denominators: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Layer -> the squared quotient [N]."""
    return {layer: (value / denominators[layer]).square() for layer, value in numerators.items()}
