"""Products and sums of norms, path norms and movement in function space: by hand and in closed form."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from initdist import measures
from initdist.measures import MeasureInputs
from tests.measures.subjects import FOUR, HAND, INITIAL, TRAINED, parameters, samples, select, trained, two, value

# ||W_1||_2 = ||W_1||_F = 3, ||W_2||_2 = 4, ||W_2||_F^2 = 4 + 9 + 4
BY_HAND = {
    ("log_sum_of_spec", None): math.log(2) + math.log(9 * 16) / 2,
    ("log_prod_of_fro", None): math.log(9 * 17),
    ("log_sum_of_fro", None): math.log(2) + math.log(9 * 17) / 2,
    ("fro_over_spec", None): 9 / 9 + 17 / 16,
    ("fro_over_spec", "layer1"): 1,
    ("fro_over_spec", "layer2"): 17 / 16,
    # (1, 1) -> (9 + 0, 0) -> (4 * 9 + 9 * 0, 4 * 0)
    ("path_norm", None): 36,
    # (1, 1) -> (3 + 0, 0) -> (2 * 3 + 3 * 0, 2 * 0)
    ("path_norm_l1", None): 6,
    # no biases, two layers: 2 <dl/df, f> with dl/df = (p - 1, 1 - p), f = (6 x_1, 0), p = 1 / (1 + exp(-6 x_1))
    ("fisher_rao", None): (2 * (2 * 6 / (1 + math.exp(6))) ** 2 + 2 * (2 * 12 / (1 + math.exp(12))) ** 2) / 4,
    # rows of D_1: 2 and 1; columns of W_2: |2| + |0| and |3| + |2|
    ("path_norm_of_distance", None): 2 * 2 + 1 * 5,
    # f - f_0 = (6 x_1, 0) - (2 x_1, 2 x_2) = (4 x_1, -2 x_2): squares 20, 20, 80, 64 over four samples
    ("function_distance", None): math.sqrt((20 + 20 + 80 + 64) / 4),
    # at first both units are active, but for x_2 = 0; then only the first one: flips at three samples of four
    ("sign_flips", None): 3 / 8,
    ("sign_flips", "relu1"): 3 / 8,
}


def test_norms_by_hand() -> None:
    values = measures.compute(["norms"], HAND)
    assert values.keys() - {("rescaled_distance", None), ("permuted_distance", None)} == BY_HAND.keys()  # test_controls
    for key, expected in BY_HAND.items():
        close = 1e-4 if key[0] == "fisher_rao" else 1e-6  # 1 - p in single precision
        assert values[key].tolist() == pytest.approx([expected], rel=close), key


@pytest.mark.parametrize("diagonals", [((3.0, 2.0), (1.0, 5.0)), ((-4.0, 0.5), (0.5, -1.0))])
def test_diagonal_networks(diagonals: tuple[tuple[float, float], ...]) -> None:
    """Spectral norms are the largest entries; each unit carries one path."""
    (a, b), (c, d) = diagonals
    subject = MeasureInputs(two(parameters([[a, 0], [0, b]], [[c, 0], [0, d]])), two(INITIAL), FOUR)
    first, second = max(a * a, b * b), max(c * c, d * d)
    assert value("log_prod_of_spec", subject) == pytest.approx(math.log(first * second))
    assert value("log_prod_of_fro", subject) == pytest.approx(math.log((a * a + b * b) * (c * c + d * d)))
    assert value("fro_over_spec", subject) == pytest.approx((a * a + b * b) / first + (c * c + d * d) / second)
    assert value("path_norm", subject) == pytest.approx((a * c) ** 2 + (b * d) ** 2)


def test_the_path_norm_of_a_deep_linear_network_is_a_product_of_squared_matrices() -> None:
    subject = trained("linear")
    first, second = subject.weights.values()
    expected = [(b.square() @ a.square()).sum().item() for a, b in zip(first, second, strict=True)]
    found = measures.compute(["path_norm"], subject)["path_norm", None]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_path_norm_of_a_convolutional_network_by_its_paths() -> None:
    """Each convolution written out as a matrix, whose columns are the images of single pixels."""
    subject = select(trained("cnn"), 1)
    weights = {name: p[0] for name, p in subject.trained.parameters.items() if p.dim() > 2}
    total, shape = torch.ones(1, 64, dtype=torch.float64), (1, 8, 8)
    for weight in weights.values():
        if weight.dim() == 4:
            matrix, shape = _written_out(weight, shape)
        else:
            matrix = weight
        total = total @ matrix.double().square().mT
    assert value("path_norm", subject) == pytest.approx(total.sum().item(), rel=1e-6)


def _written_out(weight: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """Matrix [outputs, inputs] of a convolution with stride 2, and the shape of its output."""
    pixels = torch.eye(math.prod(shape)).view(-1, *shape)
    images = F.conv2d(pixels, weight, stride=2, padding=1)
    return images.flatten(1).mT, tuple(images.shape[1:])


def test_the_path_norm_does_not_overflow_where_single_precision_would() -> None:
    large = MeasureInputs(two(parameters([[1e12, 0], [0, 1]], [[1e10, 0], [0, 1]])), two(INITIAL), FOUR)
    assert value("path_norm", large) == pytest.approx(1e44, rel=1e-5)
    assert value("log_prod_of_fro", large) == pytest.approx(math.log(1e44), rel=1e-6)


def test_the_path_norm_of_the_distance_over_units() -> None:
    subject = select(trained("mlp, one hidden layer"), 2)
    moved = subject.movements["layer1"][0].double().numpy()
    outgoing = subject.weights["layer2"][0].double().numpy()
    expected = sum(math.sqrt(sum(moved[j] ** 2)) * sum(abs(outgoing[:, j])) for j in range(len(moved)))
    assert value("path_norm_of_distance", subject) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["cnn", "resnet", "mlp, output_scale"])
def test_the_function_distance_is_that_of_the_logits(kind: str) -> None:
    subject = trained(kind)
    inputs = torch.cat([inputs for inputs, _ in subject.slices()], dim=1)
    moved = subject.trained.forward(inputs).double() - subject.initial.forward(inputs).double()
    expected = moved.square().sum(2).mean(1).sqrt()
    found = measures.compute(["function_distance"], subject)["function_distance", None]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    if subject.trained.model.output_scale is not None:
        assert subject.initial.forward(inputs).abs().max() == 0


def test_micro_batches_add_up_to_the_training_set() -> None:
    """300 samples make two micro-batches: 200 at which one unit of two flips, and 100 at which none does."""
    many = samples([[1, 1]] * 200 + [[2, 0]] * 100, [0] * 300)
    subject = MeasureInputs(two(TRAINED), two(INITIAL), many)
    assert value("sign_flips", subject) == pytest.approx(200 / 600)
    assert value("function_distance", subject) == pytest.approx(math.sqrt((200 * 20 + 100 * 64) / 300))
    assert subject.margins.tolist() == [[6.0] * 200 + [12.0] * 100]
    assert [norm.item() for norm in subject.input_norms] == pytest.approx([math.sqrt(200 * 2 + 100 * 4), 2])


def test_sign_flips_of_a_residual_network_against_its_own_hooks() -> None:
    subject = select(trained("resnet"), 0)
    (inputs, _), *rest = subject.slices()
    assert not rest
    seen: list[Tensor] = []
    module = subject.trained.model.module
    for part in module.modules():
        if isinstance(part, torch.nn.ReLU):
            part.register_forward_hook(lambda part, given, output: seen.append((output > 0).flatten()))
    signs = []
    for one in (subject.trained, subject.initial):
        seen.clear()
        torch.func.functional_call(module, {name: p[0] for name, p in one.parameters.items()}, (inputs[0],))
        signs.append(torch.cat(seen))
    assert value("sign_flips", subject) == pytest.approx((signs[0] != signs[1]).double().mean().item())
    assert len(measures.compute(["sign_flips"], subject)) == 1 + 1 + 2 * 2
