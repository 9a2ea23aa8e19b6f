"""The core measures: distance from initialization, norms and margins.

Layers k = 1..d, trained weights W_k, initial weights Z_k, D_k = W_k - Z_k; m training samples. Biases count in the
total distance only.
"""

from torch import Tensor

from initdist import evaluation
from initdist.evaluation import norm, sum_in_order
from initdist.measures import Subject, Values, _subject, measure

_NAGARAJAN = "arXiv 1901.01672"
_JIANG = "arXiv 1912.02178, eq. "


def _quantile_margin(subject: Subject, part: int) -> Tensor:
    """The max(1, m // part)-th smallest margin [N]."""
    m = subject.margins.shape[1]
    return subject.margins[:, max(1, m // part) - 1]


@measure(group="core", formula="||D_k||_F", source=_NAGARAJAN, normalization="root")
def distance_from_init(subject: Subject) -> Values:
    return {layer: norm([movement]) for layer, movement in subject.movements.items()}


@measure(group="core", formula="||theta - theta_0||_2 / sqrt(m)", source=_NAGARAJAN)
def distance_over_sqrt_n(subject: Subject) -> Values:
    return evaluation.distance(subject.trained, subject.initial) / subject.data.train_size**0.5


@measure(group="core", formula="||theta - theta_0||_2 / ||theta_0||_2", source=_NAGARAJAN)
def distance_relative(subject: Subject) -> Values:
    return evaluation.distance(subject.trained, subject.initial) / norm(subject.initial.parameters.values())


@measure(group="core", formula="sum_k ||W_k||_F^2", source=_JIANG + "42", normalization="square")
def param_norm(subject: Subject) -> Values:
    return norm(subject.weights.values()).square()


@measure(group="core", formula="||W_k||_2", source=_JIANG + "32", normalization="root")
def spectral_norm(subject: Subject) -> Values:
    return subject.spectral_norms


@measure(
    group="core",
    formula="sum_k ||D_k||_2^2; of a layer ||D_k||_2",
    source=_JIANG + "41",
    normalization="square",
)
def spectral_distance(subject: Subject) -> Values:
    layers = {layer: _subject.spectral_norm(movement) for layer, movement in subject.movements.items()}
    total = sum_in_order(value.square() for value in layers.values())
    return dict([(None, total), *layers.items()])


@measure(group="core", formula="sum_k ln ||W_k||_2^2", source=_JIANG + "32", normalization="log", needs="chain")
def log_prod_of_spec(subject: Subject) -> Values:
    return 2 * sum_in_order(spectral.log() for spectral in subject.spectral_norms.values())


@measure(group="core", formula="max(1, m // 10)-th smallest training margin", source=_JIANG + "22", orientation=-1)
def margin_p10(subject: Subject) -> Values:
    return _quantile_margin(subject, 10)


@measure(group="core", formula="max(1, m // 2)-th smallest training margin", source=_JIANG + "22", orientation=-1)
def margin_median(subject: Subject) -> Values:
    return _quantile_margin(subject, 2)
