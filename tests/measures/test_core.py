"""The core measures and those of movement, on a 2-2-2 network worked by hand (see `subjects`)."""

from __future__ import annotations

import math

import pytest
import torch

from initdist import measures
from initdist.measures import MeasureInputs
from initdist.stacks import evaluation
from initdist.stacks.stack import Stack
from tests.measures.subjects import FOUR, HAND, INITIAL, TRAINED, parameters, trained, two, value

# theta without its zero biases: (3, 0, 0, 0, 2, 3, 0, 2), theta_0: (1, 0, 0, 1, 2, 0, 0, 2)
BY_HAND = {
    ("distance_from_init", "layer1"): math.sqrt(5),
    ("distance_from_init", "layer2"): 3,
    ("distance_over_sqrt_n", None): math.sqrt(5 + 9) / 2,
    ("distance_relative", None): math.sqrt(14) / math.sqrt(1 + 1 + 4 + 4),
    ("cosine_to_init", None): (3 + 4 + 4) / math.sqrt(26 * 10),
    ("share_of_movement", "layer1"): 5 / 14,
    ("share_of_movement", "layer2"): 9 / 14,
    ("frobenius_distance", None): 5 + 9,
    ("spectral_distance", None): 4 + 9,
    ("spectral_distance", "layer1"): 2,
    ("spectral_distance", "layer2"): 3,
    ("distance_l21", None): 2 + 1 + 3 + 0,
    ("distance_l21", "layer1"): 2 + 1,
    ("distance_l21", "layer2"): 3,
    ("parameters", None): 4 + 2 + 4 + 2,
    ("param_norm", None): 9 + 4 + 9 + 4,
    ("spectral_norm", "layer1"): 3,
    ("spectral_norm", "layer2"): 4,  # [[2, 3], [0, 2]]: W^T W = [[4, 6], [6, 13]], eigenvalues 16 and 1
    ("log_prod_of_spec", None): math.log(9) + math.log(16),
    ("margin_p10", None): 6,
    ("margin_median", None): 6,
}


def test_core_measures_by_hand() -> None:
    values = measures.compute(["core"], HAND)
    assert values.keys() == BY_HAND.keys()
    for key, expected in BY_HAND.items():
        assert values[key].tolist() == pytest.approx([expected], rel=1e-6), key


def test_biases_count_in_distances_of_theta_alone() -> None:
    biased = MeasureInputs(two(parameters([[3, 0], [0, 0]], [[2, 3], [0, 2]], [1, -1, 1, 3])), two(INITIAL), FOUR)
    assert evaluation.distance(biased.trained, biased.initial).item() == pytest.approx(math.sqrt(14 + 12))
    assert value("distance_over_sqrt_n", biased) == pytest.approx(math.sqrt(26) / 2)
    assert value("distance_relative", biased) == pytest.approx(math.sqrt(26 / 10))
    assert value("cosine_to_init", biased) == pytest.approx(11 / math.sqrt((26 + 12) * 10))
    for name, layer in BY_HAND:
        if "over_sqrt" not in name and name not in ("distance_relative", "cosine_to_init") and "margin" not in name:
            assert value(name, biased, layer) == value(name, HAND, layer)


STILL = [
    "cosine_to_init",
    "distance_from_init",
    "distance_l21",
    "distance_over_sqrt_n",
    "distance_relative",
    "frobenius_distance",
    "function_distance",
    "path_norm_of_distance",
    "sign_flips",
    "spectral_distance",
]


@pytest.mark.parametrize("kind", ["mlp, one hidden layer", "mlp, ntk", "resnet", "mlp, output_scale"])
def test_a_network_at_its_initialization_has_moved_nowhere(kind: str) -> None:
    there = trained(kind)
    values = measures.compute(STILL, MeasureInputs(there.initial, there.initial, there.data))
    assert {name for name, _ in values} >= {*STILL} - {"path_norm_of_distance"}
    for (name, layer), found in values.items():
        expected = 1.0 if name == "cosine_to_init" else 0.0
        assert found.tolist() == pytest.approx([expected] * 3, abs=1e-12), (name, layer)
    assert all(0 < abs(one) != 1 for found in measures.compute(STILL, there).values() for one in found.tolist())


def test_no_layer_has_a_share_of_a_movement_of_nothing() -> None:
    assert value("share_of_movement", MeasureInputs(two(INITIAL), two(INITIAL), FOUR), "layer1") == 0


def test_the_cosine_against_the_inner_product() -> None:
    subject = trained("resnet")
    flat = [torch.cat([p.flatten(1) for p in one.parameters.values()], dim=1).double() for one in _both(subject)]
    expected = torch.nn.functional.cosine_similarity(*flat)
    found = measures.compute(["cosine_to_init"], subject)["cosine_to_init", None]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_shares_of_movement_add_up_to_one() -> None:
    values = measures.compute(["share_of_movement"], trained("resnet"))
    assert len(values) == 7  # the first convolution, two blocks of two and one shortcut, the last layer
    assert sum(values.values()).tolist() == pytest.approx([1, 1, 1])


def test_the_layers_of_the_distance_give_its_total_without_biases() -> None:
    subject = trained("mlp, no biases")
    layers = measures.compute(["distance_from_init"], subject).values()
    total = sum(layer.square() for layer in layers).sqrt()
    assert total.tolist() == pytest.approx(evaluation.distance(*_both(subject)).tolist())


def _both(subject: MeasureInputs) -> tuple[Stack, Stack]:
    return subject.trained, subject.initial


def test_the_hand_made_network_is_the_one_described() -> None:
    assert HAND.trained.parameters is TRAINED
    assert HAND.margins.tolist() == [[6, 6, 12, 12]]
    assert [norms.item() for norms in HAND.input_norms] == pytest.approx([4, math.sqrt(8)])
