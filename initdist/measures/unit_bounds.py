"""The bounds of arXiv 1805.12076 for networks of one hidden layer, f(x) = V ReLU(U x): u_j and v_j are a hidden unit's
weights in and out, z_j is u_j at initialization. What `bounds` says of biases, full values and sources holds here too.
"""

import math

import torch
from torch import Tensor

from initdist.measures import MeasureInputs, measure
from initdist.measures._passes import initial_unit_norms
from initdist.measures._spectral import largest_singular_value
from initdist.measures.bounds import DELTA, full
from initdist.measures.margins import over_margin

_SOURCE = "arXiv 1805.12076"


@measure(
    group="bounds",
    formula="(sqrt(C) ||W_2||_F (||Z_1||_2 + ||D_1||_F) ||x|| / gamma + sqrt(h)) / sqrt(m)",
    source=_SOURCE + ", theorem 2",
    needs="two_layers",
    options=("margin",),
)
def neyshabur_2019(subject: MeasureInputs) -> Tensor:
    m, (hidden, output) = subject.data.train_size, subject.weights.values()
    initial = largest_singular_value(subject.initial_weights["layer1"])
    reach = (initial + subject.frobenius_distances["layer1"]) * subject.input_norms[0] / m
    term = math.sqrt(output.shape[1]) * subject.frobenius_norms["layer2"] * reach
    return over_margin(term, subject) + math.sqrt(hidden.shape[1] / m)


@measure(
    group="bounds",
    formula="L_gamma + 3 sqrt(2) (sqrt(2C) + 1) (||W_2||_F + 1) (||D_1||_F ||X||_F + ||Z_1 X||_F + sqrt(m)) / (gamma m)"
    " + 3 sqrt((5h + ln(max(1, gamma sqrt(m)) / delta)) / m)",
    source=_SOURCE + ", theorem 2 with the constants of its proof",
    needs="two_layers",
    options=("margin",),
)
def neyshabur_2019_full(subject: MeasureInputs) -> Tensor:
    """With the union bound over norms and margin. As the authors' public code has it, but for ||Z_1 X||_F before the
    ReLU, as in the theorem."""
    m, (hidden, output) = subject.data.train_size, subject.weights.values()
    before = torch.linalg.vector_norm(initial_unit_norms(subject), dim=1)
    reach = subject.frobenius_distances["layer1"] * subject.input_norms[0] + before + math.sqrt(m)
    outer = 3 * math.sqrt(2) * (math.sqrt(2 * output.shape[1]) + 1) * (subject.frobenius_norms["layer2"] + 1)
    logs = 5 * hidden.shape[1] + ((subject.gamma * math.sqrt(m)).clamp(min=1) / DELTA).log()
    return full(outer * reach / (subject.gamma * m) + 3 * (logs / m).sqrt(), subject)


@measure(
    group="bounds",
    formula="sum_j ||v_j||_2 (||u_j - z_j||_2 ||X||_F + ||z_j X||_2) / (gamma m)",
    source=_SOURCE + ", theorem 1",
    needs="two_layers",
    options=("margin",),
)
def neyshabur_2019_unitwise(subject: MeasureInputs) -> Tensor:
    return over_margin(_unitwise(subject), subject)


@measure(
    group="bounds",
    formula="L_gamma + 4 (sqrt(2C) + 1) sum_j ||v_j||_2 (||u_j - z_j||_2 ||X||_F + ||z_j X||_2) / (gamma m)"
    " + 3 sqrt(ln(2/delta) / (2m))",
    source=_SOURCE + ", theorem 1",
    needs="two_layers",
    options=("margin",),
)
def neyshabur_2019_unitwise_full(subject: MeasureInputs) -> Tensor:
    """Twice the Rademacher complexity of the theorem, 2 (sqrt(2C) + 1) sum_j ... / (gamma m), as recalled: for norms of
    the units fixed before training. The union bound over them, which neyshabur_2019_full has, adds 3 sqrt(5h/m)."""
    m, classes = subject.data.train_size, subject.weights["layer2"].shape[1]
    chance = 3 * math.sqrt(math.log(2 / DELTA) / (2 * m))
    return full(4 * (math.sqrt(2 * classes) + 1) * _unitwise(subject) / subject.gamma + chance, subject)


def _unitwise(subject: MeasureInputs) -> Tensor:
    outgoing = torch.linalg.vector_norm(subject.weights["layer2"], dim=1, dtype=torch.float64)
    moved = subject.unit_distances["layer1"] * subject.input_norms[0][:, None]
    return (outgoing * (moved + initial_unit_norms(subject))).sum(1) / subject.data.train_size
