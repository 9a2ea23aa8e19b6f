"""Products, sums and ratios of the layers' norms, path norms, and movement in function space.

The equations of arXiv 1912.02178 are numbered as in the public code of arXiv 2010.11924 (nitarshan/
robust-generalization-measures), against which the formulas were checked; the paper itself could not be read.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, _passes, measure, with_total
from initdist.measures._convolution import operator_norms
from initdist.measures.core import log_prod_of_spec
from initdist.stacks.evaluation import norm, sum_in_order

_JIANG = "arXiv 1912.02178, eq. "
_NAGARAJAN = "arXiv 1901.01672"


@measure(
    group="norms",
    formula="ln d + (sum_k ln ||W_k||_2^2) / d",
    source=_JIANG + "35",
    normalization="log",
    needs="chain",
)
def log_sum_of_spec(subject: MeasureInputs) -> Tensor:
    return log_sum(log_prod_of_spec(subject), subject)


@measure(group="norms", formula="sum_k ln ||W_k||_F^2", source=_JIANG + "37", normalization="log", needs="chain")
def log_prod_of_fro(subject: MeasureInputs) -> Tensor:
    return 2 * sum_in_order(frobenius.log() for frobenius in subject.frobenius_norms.values())


@measure(
    group="norms",
    formula="ln d + (sum_k ln ||W_k||_F^2) / d",
    source=_JIANG + "39",
    normalization="log",
    needs="chain",
)
def log_sum_of_fro(subject: MeasureInputs) -> Tensor:
    return log_sum(log_prod_of_fro(subject), subject)


@measure(
    group="norms",
    formula="sum_k ||W_k||_F^2 / ||W_k||_2^2",
    source=_JIANG + "33",
    normalization="square",
    needs="layers",
)
def fro_over_spec(subject: MeasureInputs) -> Values:
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
def path_norm(subject: MeasureInputs) -> Tensor:
    """The sum over all paths from an input to an output of the product of their squared weights; pooling as in the
    network. Public code leaves the biases in, squared; here they are out, as everywhere but in distances of theta."""
    return _passes.path_sum(subject.trained, subject.data.shared.description.input_shape)


@measure(
    group="norms",
    formula="sum_c f_{|W|}(1)_c: absolute weights, no biases, the all-ones input",
    source="arXiv 1503.00036",
    normalization="root",
    needs="homogeneous",
)
def path_norm_l1(subject: MeasureInputs) -> Tensor:
    """The sum over all paths from an input to an output of the product of their absolute weights, the l1 path norm;
    pooling as in the network. The source could not be read."""
    return _passes.path_sum(subject.trained, subject.data.shared.description.input_shape, power=1)


@measure(
    group="norms",
    formula="1/m sum_i <theta, grad l_i>^2 over the training samples i",
    source="arXiv 1711.01530",
    normalization="square",
)
def fisher_rao(subject: MeasureInputs) -> Tensor:
    """The Fisher-Rao norm, squared: theta^T I theta, I the empirical Fisher matrix of the loss trained on. For a
    network of d weight layers without biases, with ReLU or identity, it is d^2 times the mean of <dl/df, f>^2. Of all
    trained parameters; the multipliers of the NTK parametrization do not change it. The source could not be read, nor
    eq. 45 of arXiv 1912.02178, where public code does not have it: it is recalled with a further factor (d + 1)^2."""
    return _passes.radial_slopes(subject) / subject.data.train_size


@measure(
    group="norms",
    formula="of a convolution max_w ||K(w)||_2 over the frequencies w, K(w) the Fourier transform of its kernel",
    source="arXiv 1805.10408",
    normalization="root",
    needs="convolutions",
)
def spectral_norm_fft(subject: MeasureInputs) -> Values:
    """The norm of the convolution as a linear map of images on a torus: the boundary is circular, where that of the
    network is of zeros. `spectral_norm` is that of the kernel as a matrix, smaller or larger. With a stride, the
    frequencies that it folds together side by side, over the root of their number; sizes that the stride does not
    divide are rounded up. Without strides, as in the paper."""
    return subject.once(operator_norms)


@measure(
    group="norms",
    formula="sum_k ln ||W_k||^2, operator norms: spectral_norm_fft of convolutions, ||W_k||_2 of other layers",
    source=_JIANG + "32, with the norms of arXiv 1805.10408",
    normalization="log",
    needs="convolution_chain",
)
def log_prod_of_spec_fft(subject: MeasureInputs) -> Tensor:
    operators = {**subject.spectral_norms, **subject.once(operator_norms)}
    return 2 * sum_in_order(operator.log() for operator in operators.values())


@measure(
    group="norms",
    formula="ln d + log_prod_of_spec_fft / d",
    source=_JIANG + "35, with the norms of arXiv 1805.10408",
    normalization="log",
    needs="convolution_chain",
)
def log_sum_of_spec_fft(subject: MeasureInputs) -> Tensor:
    return log_sum(log_prod_of_spec_fft(subject), subject)


@measure(
    group="norms",
    formula="sum_j ||D_1[j,:]||_2 ||W_2[:,j]||_1 over the hidden units j",
    source="arXiv 2604.00505",
    normalization="root",
    needs="two_layers",
)
def path_norm_of_distance(subject: MeasureInputs) -> Tensor:
    """Depth 1. The source could not be read."""
    first = next(iter(subject.unit_distances.values()))
    second = list(subject.weights.values())[1]
    return (first * torch.linalg.vector_norm(second, ord=1, dim=1, dtype=torch.float64)).sum(1)


@measure(group="norms", formula="sqrt(mean over training x of ||f(x) - f_0(x)||_2^2)", source=_NAGARAJAN)
def function_distance(subject: MeasureInputs) -> Tensor:
    """How far the function moved: of alpha (f_theta - f_theta0) with `model.output_scale`, where f_0 = 0."""
    return (_passes.function_movement(subject) / subject.data.train_size).sqrt()


@measure(
    group="norms",
    formula="fraction of (training x, ReLU unit) whose input changed sign; of a layer relu1, relu2, ... in turn",
    source="arXiv 1812.07956",
    needs="relu",
)
def sign_flips(subject: MeasureInputs) -> Values:
    """Of f_theta between theta_0 and theta, units of all ReLUs counted alike: 0 in lazy training. The source discusses
    the lazy regime; the measure is this project's own."""
    counted, sizes = _passes.relu_flips(subject)
    finite = norm(subject.trained.parameters.values()).isfinite()  # NaN is not above 0 either
    layers = {f"relu{k + 1}": (flips / sizes[k]).where(finite, torch.nan) for k, flips in enumerate(counted)}
    return with_total((sum_in_order(counted) / sum(sizes)).where(finite, torch.nan), layers)


def log_sum(log_product: Tensor, subject: MeasureInputs) -> Tensor:
    """ln d + log_product / d [N] for d layers."""
    return math.log(len(subject.weights)) + log_product / len(subject.weights)


def ratios(numerators: Mapping[str, Tensor], denominators: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Layer -> the squared quotient [N]."""
    return {layer: (value / denominators[layer]).square() for layer, value in numerators.items()}
