"""What must hold for every measure of the registry, on trained networks of every kind."""

from __future__ import annotations

import math

import pytest
import torch

from initdist import measures
from initdist.measures import REGISTRY, MeasureInputs
from initdist.stacks.stack import Stack
from tests.measures.subjects import KINDS, changed, select, trained

NAMES = list(REGISTRY)
# Noise that is drawn for each parameter in its place gives other values when the places change.
DRAWN = {"draws", "probes", "lanczos_steps", "capacity_draws"}
SETTLED = [name for name in NAMES if not DRAWN & set(REGISTRY[name].options)]
# Measures of these groups share searches and passes: a selection each.
SHARED = ("pacbayes", "curvature", "ntk", "optimization")
SELECTIONS = [*(name for name in NAMES if REGISTRY[name].group not in SHARED), *SHARED]
CHAINS = ["mlp", "mlp, one hidden layer", "mlp, ntk", "linear", "cnn"]


@pytest.mark.parametrize(
    "kind", ["mlp", "mlp, one hidden layer", "mlp, wide", "mlp, ntk", "mlp, linearized", "cnn", "resnet"]
)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_stack_of_n_is_n_stacks_of_one(selection: str, kind: str) -> None:
    """Equal bit for bit, for single networks and for pairs in another order."""
    together = trained(kind)
    values = measures.compute([selection], together)
    assert bool(values) is (selection in SHARED or REGISTRY[selection].defined(together.trained.model))
    for positions in ((0,), (1,), (2,), (2, 0)):
        part = measures.compute([selection], select(together, *positions))
        assert part.keys() == values.keys()
        for key, value in part.items():
            assert value.shape == (len(positions),)
            assert value.tolist() == values[key][list(positions)].tolist(), key
    alike = {"parameters", "lazy_distance"}  # infinite for networks as narrow as these
    alike |= {"ntk_change"} if together.trained.model.linearize else set()
    different = [value for (name, layer), value in values.items() if name not in alike and layer != "error"]
    assert all(len(set(value.tolist())) > 1 for value in different)


@pytest.mark.parametrize("kind", ["mlp", "mlp, one hidden layer", "mlp, ntk", "cnn"])
@pytest.mark.parametrize("name", SETTLED)
def test_permuting_hidden_units_changes_nothing(name: str, kind: str) -> None:
    before = trained(kind)
    weights = [key for key, p in before.trained.parameters.items() if p.dim() > 2]
    width = before.trained.parameters[weights[0]].shape[1]
    order = torch.randperm(width, generator=torch.Generator().manual_seed(1))
    assert order.tolist() != list(range(width))
    after = changed(before, *(_permuted(one, weights, order) for one in (before.trained, before.initial)))
    expected = measures.compute([name], before)
    for key, value in measures.compute([name], after).items():
        assert value.tolist() == pytest.approx(expected[key].tolist(), rel=1e-4), key


def _permuted(one: Stack, weights: list[str], order: torch.Tensor) -> Stack:
    copy = one.clone()
    first, second = weights[:2]
    for key in (first, first.replace("weight", "bias")):
        copy.parameters[key] = copy.parameters[key][:, order]
    copy.parameters[second] = copy.parameters[second][:, :, order]
    return copy


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_measure_does_not_change_what_it_measures(selection: str) -> None:
    kinds = ("mlp, one hidden layer", "cnn")
    kind = next(one for one in kinds if selection in SHARED or REGISTRY[selection].defined(trained(one).trained.model))
    subject = select(trained(kind), 0, 1, 2)
    before = {key: p.clone() for key, p in subject.trained.parameters.items()}
    origin = {key: p.clone() for key, p in subject.initial.parameters.items()}
    inputs = subject.data.train_slice(0, 64)[0].clone()
    assert measures.compute([selection], subject)
    assert all(torch.equal(p, before[key]) for key, p in subject.trained.parameters.items())
    assert all(torch.equal(p, origin[key]) for key, p in subject.initial.parameters.items())
    assert torch.equal(subject.data.train_slice(0, 64)[0], inputs)


# Rescaling: the first layer times FACTOR, the second one divided by it. The network computes what it did before.
FACTOR = 4.0  # a power of 2, so that this is exact

# What depends on the function alone, or on all of its layers' norms by their products.
INVARIANT = {
    *(name for name in NAMES if name.startswith(("margin_", "path_norm", "log_")) and name != "log_spec_init_main"),
    *("function_distance", "sign_flips", "inverse_margin", "parameters", "fro_over_spec", "golowich", "golowich_full"),
    "fisher_rao",
} - {"path_norm_of_distance"}
# What is the same besides where the initial network is rescaled as well, and with it the distance of each layer.
RELATIVE = {
    *("log_spec_init_main", "path_norm_of_distance", "bartlett", "neyshabur_2018", "neyshabur_2018_full"),
    *("neyshabur_2019", "neyshabur_2019_unitwise", "neyshabur_2019_unitwise_full"),
}
# By which power of the factor a first layer's value grows: the others of these names fall by it.
POWERS = {
    "spectral_norm": 1,
    "spectral_norm_fft": 1,
    "spectral_distance": 1,
    "distance_from_init": 1,
    "distance_l21": 1,
}
# Sums over the layers: (the measure, or its layers, that it sums up, to which power).
TOTALS = {
    "frobenius_distance": ("distance_from_init", 2),
    "spectral_distance": ("spectral_distance", 2),
    "distance_l21": ("distance_l21", 1),
}
# What is of theta as a whole, or has constants between the norms: it moves, and by no such factor.
OTHERS = {
    *("distance_over_sqrt_n", "distance_relative", "cosine_to_init", "share_of_movement", "param_norm"),
    *("bartlett_full", "neyshabur_2019_full", "rescaled_distance", "permuted_distance"),
}


def _rescaled(kind: str, initial_too: bool) -> MeasureInputs:
    before = trained(kind)
    given = [_scaled(before.trained), _scaled(before.initial) if initial_too else before.initial]
    return changed(before, *given)


def _scaled(one: Stack) -> Stack:
    copy = one.clone()
    first, second = [key for key, p in copy.parameters.items() if p.dim() > 2][:2]
    for key in (first, first.replace("weight", "bias")):
        copy.parameters[key] *= FACTOR
    copy.parameters[second] /= FACTOR
    return copy


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("name", sorted(INVARIANT))
def test_rescaling_leaves_what_depends_on_the_function_alone(name: str, kind: str) -> None:
    before = measures.compute([name], trained(kind))
    for key, value in measures.compute([name], _rescaled(kind, initial_too=False)).items():
        assert value.tolist() == pytest.approx(before[key].tolist(), rel=1e-6), key


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("name", sorted(INVARIANT | RELATIVE))
def test_rescaling_initial_weights_as_well_leaves_the_distances_relative_to_norms(name: str, kind: str) -> None:
    before = measures.compute([name], trained(kind))
    alone = measures.compute([name], _rescaled(kind, initial_too=False))
    for key, value in measures.compute([name], _rescaled(kind, initial_too=True)).items():
        assert value.tolist() == pytest.approx(before[key].tolist(), rel=1e-6), key
        if name in RELATIVE:
            assert alone[key].tolist() != pytest.approx(before[key].tolist(), rel=1e-3)


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("name", sorted(POWERS))
def test_rescaling_moves_the_norms_of_layers_by_the_factor(name: str, kind: str) -> None:
    before = measures.compute([name], trained(kind))
    after = measures.compute([name], _rescaled(kind, initial_too=True))
    for (_, layer), value in after.items():
        if layer is None:
            continue
        power = {"layer1": POWERS[name], "layer2": -POWERS[name]}.get(layer, 0)
        assert value.tolist() == pytest.approx((before[name, layer] * FACTOR**power).tolist(), rel=1e-6), layer


@pytest.mark.parametrize("kind", [kind for kind in CHAINS if kind != "mlp, ntk"])
@pytest.mark.parametrize("name", sorted(TOTALS))
def test_rescaling_moves_totals_as_it_does_their_layers(name: str, kind: str) -> None:
    summed, power = TOTALS[name]
    layers = {
        layer: value for (_, layer), value in measures.compute([summed], trained(kind)).items() if layer is not None
    }
    factors = {"layer1": FACTOR, "layer2": 1 / FACTOR}
    expected = sum((value * factors.get(layer, 1.0)) ** power for layer, value in layers.items())
    found = measures.compute([name], _rescaled(kind, initial_too=True))[name, None]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_rescaling_moves_what_is_of_theta(name: str) -> None:
    kind = "mlp, one hidden layer"
    before = measures.compute([name], trained(kind))
    for key, value in measures.compute([name], _rescaled(kind, initial_too=False)).items():
        assert value.tolist() != pytest.approx(before[key].tolist(), rel=1e-3), key


def test_every_closed_form_says_how_it_rescales() -> None:
    said = INVARIANT | RELATIVE | set(POWERS) | set(TOTALS) | OTHERS
    assert said >= {name for name, one in REGISTRY.items() if one.group in ("core", "norms", "margins", "bounds")}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_measure_is_finite_for_every_trained_network_that_it_claims(kind: str) -> None:
    subject = trained(kind)
    assert (subject.gamma > 0).all(), "the networks of this kind must be trained for longer"
    values = measures.compute(["all"], subject)
    assert {name for name, _ in values} == {
        name for name, one in REGISTRY.items() if one.defined(subject.trained.model)
    }
    for key, value in values.items():
        fine = math.isfinite if key[0] != "lazy_distance" else (0.0).__lt__  # infinite where the network cannot fit
        assert all(map(fine, value.tolist())), key
