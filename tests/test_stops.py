"""The stopping criteria on plain numbers, and the shares of margins that they are held against."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import CPU, tiny

from initdist import data, evaluation, stack, stops
from initdist.schema import StopConfig

NAN = math.nan
MARGIN = {"margin": 1.0, "fraction": 0.9}


@pytest.mark.parametrize(
    ("stop", "state", "reason"),
    [
        ({}, (0.5, 0.5, 0.5, NAN), None),
        ({"train_loss": 0.1}, (0.5, 0.1, 0.5, NAN), "threshold"),
        ({"train_loss": 0.1}, (0.5, 0.11, 0.5, NAN), None),
        ({"train_loss": 0.1}, (1.01, 0.1, 0.5, NAN), None),  # the batch loss is more than ten times the threshold
        ({"train_loss": 0.1}, (0.5, NAN, NAN, NAN), None),
        (MARGIN, (0.5, NAN, NAN, 0.9), "margin"),
        (MARGIN, (50.0, 40.0, 0.1, 1.0), "margin"),  # whatever the batch loss
        (MARGIN, (0.5, NAN, NAN, 0.89), None),
        ({"train_error": 0.1}, (50.0, 40.0, 0.1, NAN), "error"),
        ({"train_error": 0.0}, (0.5, 0.5, 0.0, NAN), "error"),
        ({"train_error": 0.1}, (0.5, 0.5, 0.11, NAN), None),
        ({"train_error": 0.9}, (0.5, math.inf, 0.5, NAN), None),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.1, 0.1, 0.9), "threshold"),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.2, 0.1, 0.9), "margin"),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.2, 0.1, 0.8), "error"),
        ({"train_loss": 0.1, "train_error": 0.9, **MARGIN}, (NAN, 0.1, 0.1, 0.9), "diverged"),
        ({"train_error": 0.9}, (math.inf, 0.1, 0.1, NAN), "diverged"),
    ],
)
def test_why_a_network_ends(stop: dict[str, Any], state: tuple[float, ...], reason: str | None) -> None:
    config = StopConfig(**{"train_loss": 0.0, **stop})
    assert stops.reason(config, stops.State(*state), last=False) == reason
    if not math.isnan(state[1]):
        expected = reason or ("diverged" if math.isinf(state[1]) else "max_epochs")
        assert stops.reason(config, stops.State(*state), last=True) == expected


def test_margins_by_hand() -> None:
    logits = torch.tensor([[[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.5, 0.0], [torch.nan, 0.0, 0.0]]])
    labels = torch.tensor([[1, 0, 0, 1]])
    found = evaluation.margins(logits, labels)[0]
    assert found[:3].tolist() == [1.0, -2.0, 0.0]
    assert found[3].isnan()


def test_the_share_of_a_margin_is_counted_over_the_whole_training_set_with_each_networks_own_margin() -> None:
    configs = [tiny({"dataset.train_size": 700, "seed": seed}) for seed in range(4)]
    samples, built = data.build(configs, CPU), stack.build(configs, (1, 8, 8), 10, CPU)
    slices = evaluation.slices(built, samples.train_slice, samples.train_size)
    logits = torch.cat([built.forward(inputs) for inputs, _ in slices], dim=1)
    every = evaluation.margins(logits, samples.labels)
    wanted = torch.tensor([float(every[0].median()), -1e9, 1e9, torch.nan], dtype=torch.float64)
    share = evaluation.share_with_margin(built, samples, wanted)
    assert share.tolist() == [int((every[0] >= every[0].median()).sum()) / 700, 1.0, 0.0, 0.0]
    assert share[0] == pytest.approx(0.5, abs=0.01)
