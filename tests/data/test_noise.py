"""Label noise: rates and histograms within binomial limits. What holds for each, `initdist.testing` asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import CPU, make

from initdist.data import stack_data
from initdist.data.noise.labels import redraw as redraw_labels

CLASSES = 10
LABELS = np.arange(20_000) % CLASSES
SIGMAS = 5  # a draw outside is a matter of 1e-6


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 1.0])
def test_labels_are_redrawn_at_the_rate_of_the_level(level: float) -> None:
    """A redrawn label is the old one in one of C cases, so (1 - 1/C) of the level shows as a change."""
    changed = (redraw_labels(LABELS, CLASSES, level, seed=1) != LABELS).mean()
    rate = level * (1 - 1 / CLASSES)
    assert abs(changed - rate) < SIGMAS * np.sqrt(rate * (1 - rate) / len(LABELS))


@pytest.mark.parametrize("level", [0.5, 1.0])
def test_redrawn_labels_are_uniform_over_all_classes_whatever_the_true_one(level: float) -> None:
    noisy = redraw_labels(LABELS, CLASSES, level, seed=2)
    for true in range(CLASSES):
        counts = np.bincount(noisy[true == LABELS], minlength=CLASSES)
        rates = np.full(CLASSES, level / CLASSES)
        rates[true] += 1 - level
        deviation = np.sqrt(rates * (1 - rates) * counts.sum())
        assert (np.abs(counts - rates * counts.sum()) < SIGMAS * deviation).all()


def test_a_network_is_trained_on_noisy_labels_and_tested_on_clean_ones() -> None:
    clean, noisy = stack_data.build([make({"seed": 1, "noise.level": level}) for level in (0.0, 1.0)], CPU).labels
    changed = float((clean != noisy).double().mean())
    assert abs(changed - 0.9) < SIGMAS * np.sqrt(0.09 / len(clean))
    quiet, loud = (stack_data.build([make({"noise.level": level})], CPU).test_slice(0, 517)[1] for level in (0.0, 1.0))
    assert torch.equal(quiet, loud)


def test_a_sample_keeps_its_noise_in_a_larger_subset() -> None:
    few, many = (stack_data.build([make({"noise.level": 0.5, "dataset.train_size": n})], CPU) for n in (100, 1000))
    assert torch.equal(many.rows[:, :100], few.rows)
    assert torch.equal(many.labels[:, :100], few.labels)
