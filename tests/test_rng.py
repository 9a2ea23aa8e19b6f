"""Random streams: a function of seed, name and counters alone; subsets nested over their size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from initdist import rng

NAMES = (rng.INITIALIZATION, rng.SUBSET, rng.NOISE, rng.ORDER)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_depends_on_nothing_drawn_before(name: str) -> None:
    first = rng.stream(3, name).random(5)
    np.random.default_rng(0).random(100)
    rng.stream(3, name).random(1000)
    assert np.array_equal(rng.stream(3, name).random(5), first)


def test_streams_of_other_seeds_names_and_counters_are_others() -> None:
    keys = [(seed, name, *counters) for seed in (0, 1, 11) for name in NAMES for counters in ((), (0,), (1,), (1, 1))]
    draws = {key: rng.stream(*key).random(4).tobytes() for key in keys}
    assert len(set(draws.values())) == len(keys)


def test_streams_are_uncorrelated() -> None:
    draws = np.array([rng.stream(seed, name).standard_normal(10_000) for seed in range(4) for name in NAMES])
    correlation = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(10_000)


def test_orders_are_those_of_streams_of_their_own() -> None:
    for seed, epoch, size in itertools.product((0, 3, 2**40), (1, 9), (2, 7, 1024)):
        expected = rng.stream(seed, rng.ORDER, epoch).permutation(size)
        assert np.array_equal(rng.epoch_order(seed, epoch, size), expected)


def test_golden_draws() -> None:
    """Results of old runs can be repeated only while these stay."""
    assert rng.subset(0, 1280, 5).tolist() == [239, 69, 715, 574, 1001]
    assert rng.epoch_order(7, 3, 6).tolist() == [3, 0, 2, 4, 5, 1]
    assert rng.stream(1, rng.INITIALIZATION).standard_normal(3, dtype=np.float32).tolist() == pytest.approx(
        [-1.41017746925354, -0.16312187910079956, 0.2700842022895813], rel=1e-6
    )


def test_subsets_are_nested_over_their_size() -> None:
    sizes = (2, 10, 160, 1280)
    subsets = [rng.subset(5, 1280, size) for size in sizes]
    for smaller, larger in itertools.pairwise(subsets):
        assert np.array_equal(larger[: len(smaller)], smaller)
    assert sorted(subsets[-1]) == list(range(1280))


def test_every_epoch_visits_every_sample_once_in_its_own_order() -> None:
    orders = [rng.epoch_order(5, epoch, 97) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(97))
    assert len({order.tobytes() for order in orders}) == 4
    assert not np.array_equal(rng.epoch_order(6, 0, 97), orders[0])


def test_first_positions_of_orders_are_uniform() -> None:
    first = np.bincount([rng.epoch_order(0, epoch, 8)[0] for epoch in range(4000)], minlength=8)
    expected, deviation = 500, np.sqrt(4000 * 1 / 8 * 7 / 8)
    assert np.abs(first - expected).max() < 5 * deviation
