"""For which networks a measure is defined, and what the NTK parametrization and `output_scale` make of it."""

from __future__ import annotations

import math

import pytest

from initdist import measures
from initdist.measures import REGISTRY, MeasureInputs
from initdist.measures._needs import NEEDS
from initdist.stacks.stack import Stack
from tests.measures.subjects import FOUR, INITIAL, TRAINED, trained, two, value

GROUPS = ["core", "norms", "margins", "bounds"]
BY_NEED = {need: {name for name, one in REGISTRY.items() if one.needs is NEEDS[need]} for need in NEEDS}
PRODUCTS = {
    *("log_prod_of_spec", "log_sum_of_spec", "log_prod_of_fro", "log_sum_of_fro"),
    *("log_prod_of_spec_over_margin", "log_sum_of_spec_over_margin"),
    *("log_prod_of_fro_over_margin", "log_sum_of_fro_over_margin", "log_spec_init_main", "log_spec_orig_main"),
}
PATHS = {"path_norm", "path_norm_l1", "path_norm_over_margin"}
BOUNDS = {"bartlett", "neyshabur_2018", "golowich"}
TWO_LAYERS = {"neyshabur_2019", "neyshabur_2019_unitwise"}
ALL = {
    "any": {
        *("distance_from_init", "distance_over_sqrt_n", "distance_relative", "cosine_to_init", "share_of_movement"),
        *("spectral_distance", "frobenius_distance", "distance_l21", "function_distance", "parameters", "param_norm"),
        *("fisher_rao", "margin_p5", "margin_p10", "margin_median", "inverse_margin"),
    },
    "layers": {"spectral_norm", "fro_over_spec"},
    "relu": {"sign_flips"},
    "chain": PRODUCTS,
    "homogeneous": PATHS,
    "dense": BOUNDS | {f"{name}_full" for name in BOUNDS},
    "convolutions": {"spectral_norm_fft"},
    "convolution_chain": {"log_prod_of_spec_fft", "log_sum_of_spec_fft"},
    "two_layers": {"path_norm_of_distance", *TWO_LAYERS, *(f"{name}_full" for name in TWO_LAYERS)},
}
KNOWN = set().union(*ALL.values())
# Kind -> what it does not have.
ABSENT = {
    "mlp": {"two_layers"},
    "mlp, one hidden layer": set(),
    "mlp, wide": set(),
    "mlp, no biases": set(),
    "mlp, tanh": {"relu", "homogeneous", "dense", "two_layers"},
    "mlp, ntk": {"two_layers"},
    "mlp, output_scale": {"chain", "homogeneous", "dense", "two_layers"},
    "mlp, linearized": {"layers", "relu", "chain", "homogeneous", "dense", "two_layers"},
    "linear": {"relu"},
    "linear, no hidden layer": {"relu", "dense", "two_layers"},
    "cnn": {"dense", "two_layers"},
    "resnet": {"chain", "homogeneous", "dense", "two_layers"},
}


@pytest.mark.parametrize("need", ALL)
def test_the_closed_forms_need_what_they_should(need: str) -> None:
    """One that is added may need what it likes."""
    assert BY_NEED[need] & KNOWN == ALL[need]


@pytest.mark.parametrize("kind", ABSENT)
def test_what_is_undefined_for_a_network_is_absent(kind: str) -> None:
    subject = trained(kind)
    convolutions = {"cnn": set(), "resnet": {"convolution_chain"}}.get(kind, {"convolutions", "convolution_chain"})
    absent = set().union(*(BY_NEED[need] for need in ABSENT[kind] | convolutions))
    present = {name for name, one in REGISTRY.items() if one.group in GROUPS} - absent
    assert {name for name, _ in measures.compute(GROUPS, subject)} == present


# What its formula says of theta, and not of W; but for <theta, gradient>, where the multipliers cancel.
OF_THETA = {name for name, one in REGISTRY.items() if "theta" in one.formula} - {"fisher_rao"}


def test_the_distances_are_of_theta() -> None:
    distances = {
        "distance_from_init",
        "distance_over_sqrt_n",
        "distance_relative",
        "cosine_to_init",
        "share_of_movement",
    }
    assert distances == OF_THETA & KNOWN


def test_the_ntk_parametrization_measures_the_weights_that_the_function_uses() -> None:
    """Against plain networks with the multiplied weights as their parameters, which compute the same."""
    subject, plain = trained("mlp, ntk"), trained("mlp").trained.model
    factors = subject.trained.model.multipliers
    assert sorted(factors.values()) == pytest.approx([math.sqrt(2 / 64), math.sqrt(2 / 16), math.sqrt(2 / 16)])

    def multiplied(one: Stack) -> Stack:
        return Stack(plain, {name: p * factors.get(name, 1.0) for name, p in one.parameters.items()})

    same = MeasureInputs(multiplied(subject.trained), multiplied(subject.initial), subject.data)
    expected, found = (measures.compute(GROUPS, one) for one in (same, subject))
    assert expected.keys() == found.keys()
    for key, values in expected.items():
        alike = found[key].tolist() == pytest.approx(values.tolist(), rel=1e-4)
        assert alike is (key[0] not in OF_THETA), key


def test_with_an_output_scale_margins_are_those_of_the_scaled_function() -> None:
    """alpha (f - f_0) for alpha = 3 on the network worked by hand: f - f_0 = (4 x_1, -2 x_2), margins 4 x_1 + 2 x_2."""
    initial = two(INITIAL, output_scale=3.0)
    initial = Stack(initial.model, initial.parameters, initial.parameters)
    subject = MeasureInputs(Stack(initial.model, TRAINED, INITIAL), initial, FOUR, seeds=(0,))
    assert subject.margins.tolist() == [[18, 18, 24, 36]]
    assert value("inverse_margin", subject) == pytest.approx(1 / 18**2)
    assert value("function_distance", subject) == pytest.approx(3 * math.sqrt((20 + 20 + 80 + 64) / 4))
    assert value("sign_flips", subject) == 3 / 8
    assert value("spectral_norm", subject, "layer2") == pytest.approx(4)
    assert ("log_prod_of_spec", None) not in measures.compute(["all"], subject)
