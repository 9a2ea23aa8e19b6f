"""Generalization bounds for networks of any depth: the term that a bound adds, without constants; beside it, as
NAME_full, the bound on the test error itself: the training samples within a margin of gamma plus that term with the
theorem's constants, with probability 1 - delta, delta = 0.05. Above 1 it says nothing.

All theorems are for networks without biases, with inputs x as the network sees them; a network with biases has the
value of its weights alone, as a size, not as a guarantee. ||x|| is the root mean square over the training set, X the
training inputs as a matrix, h the width of the widest hidden layer (at least 2, as the logarithms need), d the number
of layers, C of classes, m of training samples, s_k = ||W_k||_2. gamma <= 0: infinite.

None of the papers could be read. The constants of the full values are those of the public code of arXiv 1805.12076
(bneyshabur/over-parametrization, measures.py) where it has them; what is recalled or derived instead is said in place.
Norms and margin are put in as if they had been fixed before training, where no union bound over them is mentioned: it
would only add to the bound.
"""

import math
from collections.abc import Mapping

from torch import Tensor

from initdist.measures import MeasureInputs, measure
from initdist.measures.margins import over_margin, unless_wrong
from initdist.measures.norms import ratios
from initdist.stacks.evaluation import sum_in_order

DELTA = 0.05

_BARTLETT = "arXiv 1706.08498"
_PAC_BAYES = "arXiv 1707.09564"
_GOLOWICH = "arXiv 1712.06541"


@measure(
    group="bounds",
    formula="||X||_F / (gamma m) * ln h * [sum_k (||D_k^T||_{2,1} prod_{l != k} s_l)^{2/3}]^{3/2}",
    source=_BARTLETT + ", theorem 1.1",
    needs="dense",
    options=("margin",),
)
def bartlett(subject: MeasureInputs) -> Tensor:
    """Equal to prod s_k [sum (||D_k^T||_{2,1} / s_k)^{2/3}]^{3/2}, and defined where a layer is zero. The theorem has
    the largest dimension, inputs included, in place of h: see bartlett_full."""
    movements = {layer: units.sum(1) for layer, units in subject.unit_distances.items()}
    complexity = _spectral_complexity(movements, subject.spectral_norms)
    scale = subject.input_norms[0] / subject.data.train_size * math.log(_width(subject))
    return over_margin(scale * complexity, subject)


@measure(
    group="bounds",
    formula="L_gamma + 8/m + 144 ln m ln(2w) (1 + ||X||_F) / (gamma m) * R + sqrt(9/(2m) * [ln(1/delta) + ln(2m/gamma)"
    " + 2 ln(2 + ||X||_F) + 2 sum_k ln((2 + d b_k)(2 + d s_k))])",
    source=_BARTLETT + ", lemma A.9",
    needs="dense",
    options=("margin",),
)
def bartlett_full(subject: MeasureInputs) -> Tensor:
    """With the union bound over norms and margin. w = the largest dimension of the network, b_k = ||D_k^T||_{2,1},
    R = [sum_k ((1/d + b_k) prod_{l != k} (1/d + s_l))^{2/3}]^{3/2}. The lemma is recalled; the public code has the same
    constants, without the 1/d, and 9/2 on the first logarithm only."""
    m, d = subject.data.train_size, len(subject.weights)
    inputs = subject.input_norms[0]
    spectral = subject.spectral_norms
    movements = {layer: units.sum(1) for layer, units in subject.unit_distances.items()}
    complexity = _spectral_complexity(_plus(movements, 1 / d), _plus(spectral, 1 / d))
    largest = max(max(weight.shape[1:]) for weight in subject.weights.values())
    term = 144 * math.log(m) * math.log(2 * largest) * (1 + inputs) / m * complexity / subject.gamma
    union = sum_in_order(((2 + d * movements[k]) * (2 + d * spectral[k])).log() for k in spectral)
    logs = math.log(1 / DELTA) + (2 * m / subject.gamma).log() + 2 * (2 + inputs).log() + 2 * union
    return full(8 / m + term + (4.5 / m * logs).sqrt(), subject)


@measure(
    group="bounds",
    formula="||x|| d sqrt(h ln(d h)) / (gamma sqrt(m)) * prod_k s_k * sqrt(sum_k ||D_k||_F^2 / s_k^2)",
    source=_PAC_BAYES + ", theorem 1",
    needs="dense",
    options=("margin",),
    version=2,
)
def neyshabur_2018(subject: MeasureInputs) -> Tensor:
    """With the prior at the initialization: the theorem has W_k in place of D_k. h bounds every layer's outputs: it is
    the largest of the widths and of C. Version 1 left C out, and was too small below a width of C."""
    scale = subject.input_norms[0] / subject.data.train_size
    return over_margin(scale * _perturbation(subject, len(subject.weights) * _outputs(subject)), subject)


@measure(
    group="bounds",
    formula="L_gamma + 4 sqrt((KL + ln(6m/delta)) / (m - 1)), KL = (42 max||x|| d prod_k s_k / gamma)^2 h ln(4 d h) / 2"
    " * sum_k ||D_k||_F^2 / s_k^2",
    source=_PAC_BAYES + ", theorem 1 and its proof",
    needs="dense",
    options=("margin",),
    version=2,
)
def neyshabur_2018_full(subject: MeasureInputs) -> Tensor:
    """h as in neyshabur_2018. The theorem needs the largest input, not its root mean square. Lemma 1 with noise of std
    gamma / (42 max||x|| d s^{d-1} sqrt(h ln(4 d h))), s the geometric mean of the s_k (42 and the logarithm as in the
    public code). The union bound over s is left out. The proof rescales the layers to norms of s each; with the prior
    at the initialization that rescaling would be part of the prior: this is the theorem's value, not a theorem."""
    m = subject.data.train_size
    product = _perturbation(subject, 4 * len(subject.weights) * _outputs(subject))
    divergence = (42 * subject.input_norms[1] * product / subject.gamma).square() / 2
    return full(4 * ((divergence + math.log(6 * m / DELTA)) / (m - 1)).sqrt(), subject)


@measure(
    group="bounds",
    formula="||x|| (sqrt(2 d ln 2) + 1) prod_k ||W_k||_F / (gamma sqrt(m))",
    source=_GOLOWICH + ", theorem 1",
    needs="dense",
    options=("margin",),
)
def golowich(subject: MeasureInputs) -> Tensor:
    return over_margin(_golowich_complexity(subject), subject)


@measure(
    group="bounds",
    formula="L_gamma + 4 C ||x|| (sqrt(2 d ln 2) + 1) prod_k ||W_k||_F / (gamma sqrt(m)) + 3 sqrt(ln(2/delta) / (2m))",
    source=_GOLOWICH + ", theorem 1",
    needs="dense",
    options=("margin",),
)
def golowich_full(subject: MeasureInputs) -> Tensor:
    """The theorem bounds the Rademacher complexity of one output; 4 C / gamma takes it to the margins of C classes
    (Mohri, Rostamizadeh, Talwalkar, Foundations of Machine Learning, 2nd edition, theorem 9.2, recalled)."""
    classes = list(subject.weights.values())[-1].shape[1]
    chance = 3 * math.sqrt(math.log(2 / DELTA) / (2 * subject.data.train_size))
    return full(4 * classes * _golowich_complexity(subject) / subject.gamma + chance, subject)


def full(term: Tensor, subject: MeasureInputs) -> Tensor:
    """A bound on the test error [N]: the training samples within a margin of gamma, and a term."""
    return unless_wrong(subject.margin_loss + term, subject)


def _spectral_complexity(movements: Mapping[str, Tensor], spectral: Mapping[str, Tensor]) -> Tensor:
    """[sum_k (b_k prod_{l != k} s_l)^{2/3}]^{3/2} [N]."""
    parts = []
    for layer, movement in movements.items():
        for other, norm in spectral.items():
            movement = movement if other == layer else movement * norm
        parts.append(movement.pow(2 / 3))
    return sum_in_order(parts).pow(1.5)


def _plus(values: Mapping[str, Tensor], constant: float) -> dict[str, Tensor]:
    return {layer: value + constant for layer, value in values.items()}


def _perturbation(subject: MeasureInputs, inside: float) -> Tensor:
    """d sqrt(h ln(inside)) prod_k s_k sqrt(sum_k ||D_k||_F^2 / s_k^2) [N]."""
    product = sum_in_order(spectral.log() for spectral in subject.spectral_norms.values()).exp()
    moved = sum_in_order(ratios(subject.frobenius_distances, subject.spectral_norms).values()).sqrt()
    return len(subject.weights) * math.sqrt(_outputs(subject) * math.log(inside)) * product * moved


def _golowich_complexity(subject: MeasureInputs) -> Tensor:
    product = sum_in_order(frobenius.log() for frobenius in subject.frobenius_norms.values()).exp()
    depth = math.sqrt(2 * len(subject.weights) * math.log(2)) + 1
    return subject.input_norms[0] / subject.data.train_size * depth * product


def _outputs(subject: MeasureInputs) -> int:
    """The largest number of outputs of a layer, the C classes among them."""
    return max(weight.shape[1] for weight in subject.weights.values())


def _width(subject: MeasureInputs) -> int:
    return max(2, *(weight.shape[1] for weight in list(subject.weights.values())[:-1]))
