"""How the training went: steps to losses from what training records, gradient noise in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from initdist import measures, names
from tests.helpers import tiny, train
from tests.measures.searched import linear, samples
from tests.measures.subjects import planted, trained

STEPS = ["steps_to_loss", "steps_between_losses"]


def test_steps_come_from_the_crossings_of_each_network() -> None:
    subject = trained("mlp")
    found = measures.compute(STEPS, subject)
    assert found["steps_to_loss", None].tolist() == [20, 21, 22]
    assert found["steps_between_losses", None].tolist() == [30, 32, 34]
    some = replace(subject, crossings=[planted(0), {"steps_at_loss/0.1": 7.0}, {}])
    found = measures.compute(STEPS, some)
    assert repr(found["steps_to_loss", None].tolist()) == repr([20.0, 7.0, math.nan])
    assert repr(found["steps_between_losses", None].tolist()) == repr([30.0, math.nan, math.nan])
    unknown = measures.compute(STEPS, replace(subject, crossings=()))
    assert all(math.isnan(value) for values in unknown.values() for value in values.tolist())


def test_training_records_the_steps_at_which_losses_are_crossed() -> None:
    """Against the history of every epoch: 100 samples in batches of 20 are five steps an epoch."""
    changes = {"optimizer.batch_size": 20, "optimizer.lr": 0.3, "stop.train_loss": 0.01, "stop.max_epochs": 200}
    (one,) = train([tiny(changes | {"history": 200, "measures.names": ["optimization"]})])
    metrics, history = one.result.metrics, one.result.history
    losses = [*((step, values[names.TRAIN_LOSS]) for step, values in history), (one.result.step, metrics["train_loss"])]
    assert [step for step, _ in losses] == list(range(0, one.result.step + 1, 5))
    for level in (0.3, 0.1, 0.03, 0.01):
        first = next(step for step, loss in losses if loss <= level)
        assert metrics[names.steps_at_loss(level)] == first
    assert metrics["measure/steps_to_loss"] == metrics["steps_at_loss/0.1"] > 0
    assert metrics["measure/steps_between_losses"] == one.result.step - metrics["steps_at_loss/0.1"] > 0
    assert "steps_at_loss/0.003" not in metrics


def test_the_gradient_noise_of_a_linear_classifier_by_hand() -> None:
    """Squared error at weights 0 of inputs c_i e_i: grad l_i = -2 (e_y) (x_i)^T, so that lengths are 2 c_i; no two of
    them share an entry, and the mean's squared length is sum (2 c_i)^2 / m^2."""
    lengths = [1.0, 2.0, 3.0]
    inputs = [[c if j == k else 0.0 for j in range(3)] for k, c in enumerate(lengths)]
    subject = linear([[0.0] * 3] * 2, None, samples(inputs, [0, 1, 0]), loss="squared_error")
    squares = sum((2 * c) ** 2 for c in lengths)
    found = measures.compute(["gradient_noise"], subject)["gradient_noise", None]
    assert found.tolist() == pytest.approx([squares / 3 - squares / 9], rel=1e-6)


def test_samples_alike_have_no_gradient_noise() -> None:
    subject = linear([[0.3, -0.2], [0.1, 0.4]], [0.1, 0.0], samples([[1.0, 2.0]] * 5, [1] * 5))
    found = measures.compute(["gradient_noise"], subject)["gradient_noise", None]
    assert found.tolist() == pytest.approx([0], abs=1e-6)


def test_gradients_that_are_formed_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from initdist.measures import _gradients

    expected = measures.compute(["gradient_noise"], trained("cnn"))["gradient_noise", None]
    monkeypatch.setattr(_gradients, "FORMED", 1000)
    found = measures.compute(["gradient_noise"], trained("cnn"))["gradient_noise", None]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
