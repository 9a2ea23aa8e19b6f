"""The core measures: distance from initialization, norms and margins, cheap enough for every network.

What is said of theta counts biases, and is before the multipliers of the NTK parametrization: theta is what gradient
descent moves.
"""

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, Values, measure, with_total
from initdist.stacks import evaluation
from initdist.stacks.evaluation import norm, sum_in_order

_NAGARAJAN = "arXiv 1901.01672"
_JIANG = "arXiv 1912.02178, eq. "


@measure(
    group="core", formula="of a layer ||theta_k - theta_0,k||_F", source=_NAGARAJAN, normalization="root", history=True
)
def distance_from_init(subject: MeasureInputs) -> Values:
    """The layers of the metric `distance_from_init`, which is their total with the biases. Of the parameters as
    they are trained: in the NTK parametrization, before the multiplier, it is ||D_k||_F sqrt(fan_in / 2)."""
    return {layer: norm([movement]) for layer, movement in subject.parameter_movements.items()}


@measure(group="core", formula="||theta - theta_0||_2 / sqrt(m)", source=_NAGARAJAN)
def distance_over_sqrt_n(subject: MeasureInputs) -> Values:
    return _distance(subject) / subject.data.train_size**0.5


@measure(group="core", formula="||theta - theta_0||_2 / ||theta_0||_2", source=_NAGARAJAN)
def distance_relative(subject: MeasureInputs) -> Values:
    return _distance(subject) / norm(subject.initial.parameters.values())


@measure(group="core", formula="<theta, theta_0> / (||theta||_2 ||theta_0||_2)", source=_NAGARAJAN, orientation=-1)
def cosine_to_init(subject: MeasureInputs) -> Values:
    """From the three norms: an inner product of its own would have to be summed in an order of its own."""
    trained, initial = (norm(stack.parameters.values()) for stack in (subject.trained, subject.initial))
    return (trained.square() + initial.square() - _distance(subject).square()) / (2 * trained * initial)


@measure(
    group="core",
    formula="of a layer ||theta_k - theta_0,k||_F^2 / sum_l ||theta_l - theta_0,l||_F^2",
    source=_NAGARAJAN,
)
def share_of_movement(subject: MeasureInputs) -> Values:
    """Of the weights as they are trained, before any multiplier; 0 for a network whose weights have not moved."""
    squares = {layer: norm([movement]).square() for layer, movement in subject.parameter_movements.items()}
    total = sum_in_order(squares.values())
    return {layer: (square / total).where(total != 0, 0) for layer, square in squares.items()}


@measure(group="core", formula="sum_k ||D_k||_F^2", source=_JIANG + "40", normalization="square")
def frobenius_distance(subject: MeasureInputs) -> Values:
    return sum_in_order(distance.square() for distance in subject.frobenius_distances.values())


@measure(group="core", formula="sum_k ||D_k||_2^2; of a layer ||D_k||_2", source=_JIANG + "41", normalization="square")
def spectral_distance(subject: MeasureInputs) -> Values:
    layers = subject.spectral_distances
    return with_total(sum_in_order(distance.square() for distance in layers.values()), layers)


@measure(
    group="core",
    formula="sum_k sum_j ||D_k[j,:]||_2 over the units j of a layer",
    source="arXiv 1706.08498, theorem 1.1",
    normalization="root",
)
def distance_l21(subject: MeasureInputs) -> Values:
    layers = {layer: units.sum(1) for layer, units in subject.unit_distances.items()}
    return with_total(sum_in_order(layers.values()), layers)


@measure(group="core", formula="number of trainable parameters", source=_JIANG + "20", normalization="square")
def parameters(subject: MeasureInputs) -> Values:
    stack = subject.trained
    count = sum(p[0].numel() for p in stack.parameters.values())
    return torch.full((len(stack),), count, dtype=torch.float64)


@measure(group="core", formula="sum_k ||W_k||_F^2", source=_JIANG + "42", normalization="square", history=True)
def param_norm(subject: MeasureInputs) -> Values:
    return sum_in_order(frobenius.square() for frobenius in subject.frobenius_norms.values())


@measure(group="core", formula="of a layer ||W_k||_2", source=_JIANG + "32", normalization="root", needs="layers")
def spectral_norm(subject: MeasureInputs) -> Values:
    return subject.spectral_norms


@measure(group="core", formula="sum_k ln ||W_k||_2^2", source=_JIANG + "32", normalization="log", needs="chain")
def log_prod_of_spec(subject: MeasureInputs) -> Tensor:
    return 2 * sum_in_order(spectral.log() for spectral in subject.spectral_norms.values())


@measure(group="core", formula="max(1, m // 10)-th smallest training margin", source=_JIANG + "22", orientation=-1)
def margin_p10(subject: MeasureInputs) -> Values:
    return subject.margin("p10")


@measure(group="core", formula="max(1, m // 2)-th smallest training margin", source=_JIANG + "22", orientation=-1)
def margin_median(subject: MeasureInputs) -> Values:
    return subject.margin("median")


def _distance(subject: MeasureInputs) -> Tensor:
    return evaluation.distance(subject.trained, subject.initial)
