"""Margins, and what is divided by them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from initdist import measures
from initdist.data import stack_data
from initdist.measures import REGISTRY, MeasureInputs
from initdist.stacks import stack
from tests.helpers import CPU, blobs, dataset, tiny
from tests.measures.subjects import FOUR, HAND, INITIAL, TRAINED, options, parameters, samples, two, value

# gamma = 6, and W_1, W_2, D_1, D_2 as in `subjects`: ||D_1||_F^2 = 5, ||D_2||_F^2 = 9
BY_HAND = {
    "margin_p5": 6,
    "inverse_margin": 1 / 36,
    "log_prod_of_spec_over_margin": math.log(9 * 16 / 36),
    "log_spec_init_main": math.log(9 * 16 / 36 * (5 / 9 + 9 / 16)),
    "log_spec_orig_main": math.log(9 * 16 / 36 * (9 / 9 + 17 / 16)),
    "log_sum_of_spec_over_margin": math.log(2) + math.log(9 * 16 / 36) / 2,
    "log_prod_of_fro_over_margin": math.log(9 * 17 / 36),
    "log_sum_of_fro_over_margin": math.log(2) + math.log(9 * 17 / 36) / 2,
    "path_norm_over_margin": 36 / 36,
}
BY_GAMMA = [name for name, one in REGISTRY.items() if "margin" in one.options]


def test_measures_over_the_margin_by_hand() -> None:
    values = measures.compute(["margins"], HAND)
    assert values.keys() == {(name, None) for name in BY_HAND}
    for name, expected in BY_HAND.items():
        assert values[name, None].tolist() == pytest.approx([expected], rel=1e-6), name


@pytest.mark.parametrize(
    ("count", "twentieth", "tenth", "middle"),
    [(2, 1, 1, 1), (4, 1, 1, 2), (9, 1, 1, 4), (10, 1, 1, 5), (19, 1, 1, 9), (20, 1, 2, 10), (45, 2, 4, 22)],
)
def test_the_margin_is_the_mth_part_smallest_and_may_be_negative(
    count: int, twentieth: int, tenth: int, middle: int
) -> None:
    """f(x) = 2 ReLU(x): samples (x, 0) of class 0 have the margin 2 x, those of class 1 minus that. One is wrong."""
    given = samples([[float(x), 0.0] for x in range(1, count + 1)], [1] + [0] * (count - 1))
    subject = MeasureInputs(two(INITIAL), two(INITIAL), given)
    ordered = [-2.0, *[2.0 * x for x in range(2, count + 1)]]
    for quantile, place in (("p5", twentieth), ("p10", tenth), ("median", middle)):
        assert value(f"margin_{quantile}", subject) == ordered[place - 1]
        chosen = dataclasses.replace(subject, options=options(margin=quantile))
        assert chosen.gamma.item() == ordered[place - 1]
        inverse = 1 / ordered[place - 1] ** 2 if place > 1 else math.inf
        assert value("inverse_margin", chosen) == pytest.approx(inverse)


def test_margins_are_against_the_labels_trained_on() -> None:
    with dataset(blobs("classes", (1, 4, 4), pool=200, test=10)) as name:
        config = tiny({"dataset.name": name, "noise.level": 1.0, "dataset.train_size": 150})
        given = stack_data.build([config], CPU)
        built = stack.build([config], (1, 4, 4), 10, CPU)
        inputs, labels = given.train_slice(0, 150)
    logits = built.forward(inputs)[0].numpy()
    expected = sorted(
        row[label] - max(other for c, other in enumerate(row) if c != label)
        for row, label in zip(logits, labels[0].tolist(), strict=True)
    )
    assert MeasureInputs(built, built, given).margins[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


# Trained as before, but on other labels: the smallest margin is minus 12, or 0 where f does not see x at all.
WRONG = MeasureInputs(two(TRAINED), two(INITIAL), samples([[1, 1], [1, 1], [2, 2], [2, 0]], [0, 0, 0, 1]))
BLIND = MeasureInputs(two(parameters([[3, 0], [0, 1e-9]], [[2, 3], [2, 3]])), two(INITIAL), FOUR)


@pytest.mark.parametrize("name", BY_GAMMA)
def test_a_margin_that_is_not_above_0_gives_infinity_never_a_finite_number(name: str) -> None:
    assert WRONG.gamma.item() == -12
    assert BLIND.gamma.item() == 0
    for subject in (WRONG, BLIND):
        assert value(name, subject) == math.inf
    assert math.isfinite(value(name))
    # at the initialization no distance is left to divide
    still = MeasureInputs(two(INITIAL), two(INITIAL), samples([[1, 0], [0, 1]], [1, 1]))
    assert value(name, still) == math.inf


@pytest.mark.parametrize("name", BY_GAMMA)
def test_the_quantile_is_that_of_the_options(name: str) -> None:
    """Doubling gamma: 6 is the smallest margin and 12 the third of four."""
    last = samples([[1, 1], [2, 2], [2, 0], [2, 0]], [0, 0, 0, 0])
    subject = dataclasses.replace(HAND, data=last)
    median = dataclasses.replace(subject, options=options(margin="median"))
    assert (subject.gamma.item(), median.gamma.item()) == (6, 12)
    assert value(name, median) != value(name, subject)


def test_the_margin_loss_counts_the_samples_at_gamma() -> None:
    assert HAND.margin_loss.tolist() == [2 / 4]
    assert WRONG.margin_loss.tolist() == [1 / 4]
    assert torch.equal(dataclasses.replace(HAND, options=options(margin="median")).margin_loss, HAND.margin_loss)
