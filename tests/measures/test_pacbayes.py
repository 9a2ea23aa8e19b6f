"""PAC-Bayes and sharpness searches against classifiers whose thresholds are known, and formulas by explicit loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from initdist import measures
from initdist.data import stack_data
from initdist.measures import REGISTRY, MeasureInputs, _part
from initdist.measures._bisection import bisect, crossing
from initdist.stacks import stack
from tests.helpers import CPU, tiny, train
from tests.measures.searched import fresh, linear, part, permuted, samples, trained, values

GROUP = [name for name, one in REGISTRY.items() if one.group == "pacbayes"]
EYE = np.eye(64).tolist()
STRENGTHS = [0.5 + k / 32 for k in range(64)]  # of the weight that classifies the k-th sample


def _threshold(accuracy: Callable[[float], float]) -> float:
    """Where the accuracy has fallen by 0.1."""
    return float(brentq(lambda s: accuracy(s) - 0.9, 1e-3, 2))


@pytest.mark.parametrize(("bias", "variance"), [(False, 2), (True, 4)])
def test_sigma_of_a_linear_classifier(bias: bool, variance: int) -> None:
    """The k-th sample is the k-th unit vector of class 1: its margin a_k gets noise of variance 2 s^2, 4 s^2 with bias.

    Its accuracy is a normal cdf, and the threshold solves mean_k cdf(a_k / sd) = 0.9.
    """
    subject = linear([[0.0] * 64, STRENGTHS], [0.0, 0.0] if bias else None, samples(EYE, [1] * 64), {"draws": 400})
    found = values(subject, "pacbayes_sigma")
    (sigma,), (error,) = found["pacbayes_sigma", None], found["pacbayes_sigma", "error"]
    expected = _threshold(lambda s: float(norm.cdf(np.array(STRENGTHS) / (s * math.sqrt(variance))).mean()))
    assert 0.002 * sigma < error < 0.06 * sigma
    assert abs(sigma - expected) < 4 * error


def test_sigma_of_a_classifier_with_one_parameter() -> None:
    """All samples are alike, and lost with probability cdf(-a / (s sqrt 2)): 0.1 at s = a / (1.2816 sqrt 2).

    So an accuracy is a share of draws: its standard error is sqrt(0.09 / draws), that of s by the slope of the cdf.
    """
    subject = linear([[0.0], [1.0]], None, samples([[1.0]] * 4, [1] * 4), {"draws": 400})
    found = values(subject, "pacbayes_sigma")
    (sigma,), (error,) = found["pacbayes_sigma", None], found["pacbayes_sigma", "error"]
    z = norm.ppf(0.9)
    expected = 1 / (z * math.sqrt(2))
    theory = math.sqrt(0.09 / 400) / (norm.pdf(z) * z / expected)
    assert abs(sigma - expected) < 4 * theory
    assert 0.4 * theory < error < 2.5 * theory


@pytest.mark.parametrize("strengths", [STRENGTHS, [0.002 + k / 16000 for k in range(64)]])
def test_magnitude_aware_sigma_of_a_linear_classifier(strengths: list[float]) -> None:
    """Noise of variance s^2 a_k^2 + 1e-6 on the weight a_k, and 1e-6 on that of the other class, which is 0."""
    subject = linear([[0.0] * 64, strengths], None, samples(EYE, [1] * 64), {"draws": 200})
    found = values(subject, "pacbayes_mag_sigma")
    (sigma,), (error,) = found["pacbayes_mag_sigma", None], found["pacbayes_mag_sigma", "error"]
    a = np.array(strengths)
    expected = _threshold(lambda s: float(norm.cdf(a / np.sqrt(s**2 * a**2 + 2e-6)).mean()))
    assert error < 0.05 * sigma
    assert abs(sigma - expected) < 4 * error


def test_the_accuracy_falls_from_what_it_was() -> None:
    """A quarter of the samples is misclassified from the start, by a margin that noise does not change."""
    strengths = [-100.0 if k % 4 == 0 else 1.0 for k in range(64)]
    subject = linear([[0.0] * 64, strengths], None, samples(EYE, [1] * 64), {"draws": 200})
    found = values(subject, "pacbayes_sigma")
    expected = _threshold(lambda s: float(norm.cdf(1 / (s * math.sqrt(2)))) * 0.75 + 0.25)
    assert abs(found["pacbayes_sigma", None][0] - expected) < 4 * found["pacbayes_sigma", "error"][0]


def test_a_network_that_withstands_everything_is_at_the_upper_end() -> None:
    subject = linear([[-1e6], [1e6]], None, samples([[1.0]] * 4, [1] * 4))
    found = values(subject, "pacbayes_sigma", "sharpness_alpha")
    assert found["pacbayes_sigma", None] == [2]
    assert math.isnan(found["pacbayes_sigma", "error"][0])
    assert 1.9 <= found["sharpness_alpha", None][0] <= 2


def test_bounds_by_explicit_loops() -> None:
    """Equations 48, 49, 51-54, 56, 57, 61 and the magnitude-aware sharpness, one parameter at a time."""
    subject = trained()
    found = values(fresh(subject), "pacbayes")
    m = 100
    for index in range(3):
        pairs = [
            (float(w), float(z))
            for name, p in subject.trained.parameters.items()
            for w, z in zip(p[index].flatten(), subject.initial.parameters[name][index].flatten(), strict=True)
        ]
        p = len(pairs)
        assert p == 64 * 16 + 16 + 16 * 10 + 10  # biases count
        moved, own = sum((w - z) ** 2 for w, z in pairs), sum(w**2 for w, _ in pairs)
        s, s_mag, a, a_mag = (
            found[name, None][index]
            for name in ("pacbayes_sigma", "pacbayes_mag_sigma", "sharpness_alpha", "sharpness_mag_alpha")
        )

        def divergence(scale: float, added: float, reference: float, pairs=pairs, p=p) -> float:
            top = 1e-6 + (scale**2 + added) * reference / p
            return sum(math.log(top / (1e-6 + scale**2 * (w - z) ** 2)) for w, z in pairs) / 4

        rest, rest_mag = math.log(m / s) + 10, math.log(m / s_mag) + 10
        worst = math.log(2 * p)
        expected = {
            "pacbayes_init": moved / (4 * s**2) + rest,
            "pacbayes_orig": own / (4 * s**2) + rest,
            "pacbayes_flatness": 1 / s**2,
            "pacbayes_mag_init": divergence(s_mag, 1, moved) + rest_mag,
            "pacbayes_mag_orig": divergence(s_mag, 1, own) + rest_mag,
            "pacbayes_mag_flatness": 1 / s_mag**2,
            "sharpness_init": moved * worst / (4 * a**2) + rest,
            "sharpness_orig": own * worst / (4 * a**2) + rest,
            "sharpness_flatness": 1 / a**2,
            "sharpness_mag_init": divergence(a_mag, 4 * worst, moved) + rest_mag,
            "sharpness_mag_orig": divergence(a_mag, 4 * worst, own) + rest_mag,
            "sharpness_mag_flatness": 1 / a_mag**2,
        }
        for name, value in expected.items():
            assert found[name, None][index] == pytest.approx(value, rel=1e-6), name
    assert (
        {name for name, _ in found}
        == set(GROUP)
        == set(expected)
        | {
            "pacbayes_sigma",
            "pacbayes_mag_sigma",
            "sharpness_alpha",
            "sharpness_mag_alpha",
        }
    )


def test_of_the_magnitude_aware_bounds_one_alone_is_half_a_divergence() -> None:
    """KL(N(w, e^2 + s^2 d_i^2) || N(ref, v)) summed by torch, at the v that makes it smallest, for d = w - w_0."""
    subject = fresh(trained())
    found = values(subject, "pacbayes")
    for index in range(len(subject.trained)):
        own, start = (
            torch.cat([p[index].double().flatten() for p in one.parameters.values()])
            for one in (subject.trained, subject.initial)
        )
        s = found["pacbayes_mag_sigma", None][index]
        spread = (1e-6 + s**2 * (own - start).square()).sqrt()
        rest = math.log(subject.data.train_size / s) + 10

        def divergence(reference: torch.Tensor, own: torch.Tensor = own, spread: torch.Tensor = spread) -> float:
            best = (spread.square() + (own - reference).square()).mean().sqrt()
            normal = torch.distributions.Normal
            return torch.distributions.kl_divergence(normal(own, spread), normal(reference, best)).sum().item()

        init, orig = (found[f"pacbayes_mag_{name}", None][index] - rest for name in ("init", "orig"))
        assert init == pytest.approx(divergence(start) / 2, rel=1e-6)
        assert orig != pytest.approx(divergence(torch.zeros_like(own)) / 2, rel=1e-3)


COUNTS = [0.1 * k for k in range(1, 21)]  # the samples, of class 1


def test_sharpness_of_a_linear_classifier() -> None:
    """Margin (w_1 - w_0) c + b_1 - b_0; the worst corner takes 2 a (c + 1) from it, for all samples alike.

    Two of twenty samples may be lost: the threshold is where the third goes.
    """
    subject = linear([[-0.5], [1.5]], [0.25, 0.5], samples([[c] for c in COUNTS], [1] * 20), {"search_tolerance": 1e-3})
    found = values(subject, "sharpness_alpha")
    (alpha,), (half,) = found["sharpness_alpha", None], found["sharpness_alpha", "error"]
    expected = sorted((2 * c + 0.25) / (2 * (c + 1)) for c in COUNTS)[2]
    assert 0 < half < 1e-3
    assert abs(alpha - expected) <= half


def test_magnitude_aware_sharpness_of_a_linear_classifier() -> None:
    """The worst corner takes a (|w_0| + |w_1|) c + a (|b_0| + |b_1|)."""
    subject = linear([[0.5], [1.5]], [-0.25, 0.5], samples([[c] for c in COUNTS], [1] * 20), {"search_tolerance": 1e-3})
    found = values(subject, "sharpness_mag_alpha")
    (alpha,), (half,) = found["sharpness_mag_alpha", None], found["sharpness_mag_alpha", "error"]
    expected = sorted((c + 0.75) / (2 * c + 0.75) for c in COUNTS)[2]
    assert 0 < half < 1e-3
    assert abs(alpha - expected) <= half


def test_more_ascent_finds_a_smaller_box() -> None:
    few, many = (values(fresh(trained(), ascent_steps=steps), "sharpness_alpha") for steps in (1, 20))
    pairs = list(zip(few["sharpness_alpha", None], many["sharpness_alpha", None], strict=True))
    assert all(more <= less for less, more in pairs)
    assert any(more < 0.95 * less for less, more in pairs)


def test_parts_that_fit_in_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = trained()
    expected = values(fresh(subject), "pacbayes", "curvature")
    monkeypatch.setattr(_part, "BYTES", 1)
    sizes = []
    own = _part._parts
    monkeypatch.setattr(_part, "_parts", lambda *given: [sizes.append(len(p.trained)) or p for p in own(*given)])
    assert values(fresh(subject), "pacbayes", "curvature") == expected
    assert set(sizes) == {1}


def test_a_diverged_network_has_no_values_and_leaves_its_neighbours_theirs() -> None:
    subject = trained()
    expected = values(fresh(subject), "pacbayes", "curvature", "ntk")
    broken = subject.trained.clone()
    broken.parameters["3.weight"][1, 0, 0] = math.nan
    found = values(fresh(subject, trained=broken), "pacbayes", "curvature", "ntk")
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert math.isnan(value[1]), key
        assert (value[0], value[2]) == (expected[key][0], expected[key][2]), key


def test_the_noise_is_the_network_s_own() -> None:
    one = values(part(trained(), 0), "pacbayes_sigma")["pacbayes_sigma", None]
    again = values(part(trained(), 0), "pacbayes_sigma")["pacbayes_sigma", None]
    other = values(fresh(part(trained(), 0), seeds=(7,)), "pacbayes_sigma")["pacbayes_sigma", None]
    assert one == again
    assert one != other


def test_without_seeds_nothing_is_sampled() -> None:
    with pytest.raises(ValueError, match=r"^3 networks need as many seeds to be sampled, got 0$"):
        measures.compute(["pacbayes_sigma"], fresh(trained(), seeds=()))


def test_the_error_is_what_other_noise_changes() -> None:
    """The spread of sigma over independent draws of all noise, against the error that each of them reports."""
    base = part(trained(), 0)
    found = [values(fresh(base, seeds=(seed,)), "pacbayes_sigma") for seed in range(100, 130)]
    sigmas = np.array([one["pacbayes_sigma", None][0] for one in found])
    errors = np.array([one["pacbayes_sigma", "error"][0] for one in found])
    assert 0.6 < sigmas.std(ddof=1) / np.sqrt((errors**2).mean()) < 1.6


def test_permuting_hidden_units_changes_sigma_within_its_error() -> None:
    """The units keep their positions' noise, so that this is other noise."""
    subject = trained()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    moved = fresh(subject, trained=permuted(subject.trained, order), initial=permuted(subject.initial, order))
    for name in ("pacbayes_sigma", "pacbayes_mag_sigma"):
        before, after = values(fresh(subject, draws=32), name), values(fresh(moved, draws=32), name)
        assert before[name, None] != after[name, None]
        for index in range(3):
            error = math.hypot(before[name, "error"][index], after[name, "error"][index])
            assert abs(before[name, None][index] - after[name, None][index]) < 4 * error


@pytest.mark.parametrize("overrides", [{"model.init": "ntk", "optimizer.lr": 0.5}, {"model.output_scale": 2.0}])
def test_other_parametrizations(overrides: dict) -> None:
    """The noise is put on the parameters that are trained; f_theta0 stays as it is."""
    subject = trained(overrides=tuple(overrides.items()))
    found = values(fresh(subject), "pacbayes_sigma", "sharpness_alpha")
    generator = torch.Generator().manual_seed(0)
    inputs, labels = subject.data.train_slice(0, 100)
    clean = (subject.trained.forward(inputs).argmax(-1) == labels).double().mean(1)
    sigma = torch.tensor(found["pacbayes_sigma", None])
    kept = []
    for _ in range(200):
        noisy = subject.trained.clone()
        for p in noisy.parameters.values():
            p.add_(torch.randn(p.shape, generator=generator) * sigma.view(-1, *[1] * (p.dim() - 1)))
        kept.append((noisy.forward(inputs).argmax(-1) == labels).double().mean(1))
    lost = clean - torch.stack(kept).mean(0)
    assert lost.tolist() == pytest.approx([0.1] * 3, abs=0.04)


def test_bisection_finds_each_threshold_alone() -> None:
    thresholds = torch.tensor([0.3, 1.999, 1e-5, 5.0, 0.7])
    searched = torch.tensor([True, True, True, True, False])
    asked: list[int] = []

    def accepted(given: torch.Tensor, networks: torch.Tensor) -> torch.Tensor:
        asked.extend(networks.tolist())
        return given <= thresholds[networks]

    low, high = bisect(accepted, searched, 2.0, 0.01)
    for index in range(3):
        assert low[index] <= thresholds[index] <= high[index]
        assert high[index] - low[index] <= 0.01 * high[index]
    assert high[3] == 2
    assert low[3] > 1.97
    assert math.isnan(low[4])
    assert math.isnan(high[4])
    assert 4 not in asked
    assert asked.count(2) > asked.count(0) > asked.count(3)  # each leaves when it is done


@pytest.mark.parametrize("tolerance", [0.3, 0.1, 0.01])
def test_a_crossing_is_bracketed_from_any_guess(tolerance: float) -> None:
    """Of losses 0.1 (s / threshold)^power, drawn with an offset that leaves their mean."""
    thresholds = torch.tensor([0.3, 0.3, 0.3, 1.99, 1e-5, 5.0, 0.7], dtype=torch.float64)
    powers = torch.tensor([2.0, 1.0, 6.0, 2.0, 2.0, 2.0, 2.0], dtype=torch.float64)
    guess = torch.tensor([0.3, 0.05, 0.8, 1.0, 2e-5, 1.9, torch.nan], dtype=torch.float64)
    asked: list[int] = []

    def lost(values: torch.Tensor, networks: torch.Tensor) -> torch.Tensor:
        asked.extend(networks.tolist())
        mean = 0.1 * (values / thresholds[networks]) ** powers[networks]
        return torch.stack([mean + 0.01, mean - 0.01], dim=1)

    found = crossing(lost, guess, 2, 0.1, 2.0, tolerance)
    for i in range(5):
        assert found.low[i] <= thresholds[i] <= found.high[i]
        assert 0 < found.high[i] - found.low[i] <= tolerance * found.high[i]
        for end, there in ((found.low, found.at_low), (found.high, found.at_high)):
            assert there[i].mean().item() == pytest.approx(0.1 * (end[i] / thresholds[i]).item() ** powers[i].item())
    assert found.low[5] == found.high[5] == 2
    assert found.at_low[5].mean() == pytest.approx(0.1 * 0.16)
    assert found.low[6].isnan()
    assert found.at_high[6].isnan().all()
    assert 6 not in asked
    assert asked.count(5) <= 2


def test_a_network_that_withstands_nothing_has_a_crossing_at_nothing() -> None:
    found = crossing(lambda values, networks: torch.ones(len(values), 3), torch.tensor([1e-12]), 3, 0.1, 2.0, 0.05)
    assert found.low.item() == 0
    assert 0 < found.high.item() < 1e-12
    assert found.at_low.tolist() == [[0, 0, 0]]


def test_a_training_measures_with_the_seed_of_the_network_s_initialization() -> None:
    """In a training's stack, where networks end one by one, as afterwards and alone."""
    chosen = [
        tiny({"seed": seed, "seeds.init": 10 + seed, "optimizer.lr": lr, "measures.names": ["pacbayes_sigma"]})
        for seed, lr in enumerate((0.1, 0.3))
    ]
    initial, given = stack.build(chosen, (1, 8, 8), 10, CPU), stack_data.build(chosen, CPU)
    for index, one in enumerate(train(chosen)):
        keep = torch.tensor([index])
        ended = replace(initial.select(keep), parameters={name: p[None] for name, p in one.parameters.items()})
        subject = MeasureInputs(ended, initial.select(keep), given.select(keep), seeds=(10 + index,))
        found = values(subject, "pacbayes_sigma")
        assert one.result.metrics["measure/pacbayes_sigma"] == found["pacbayes_sigma", None][0]
        assert one.result.metrics["measure/pacbayes_sigma/error"] == found["pacbayes_sigma", "error"][0]
