"""The closed form of the lazy distance against explicit Jacobians and least squares."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacrev

from initdist.measures import MeasureInputs
from initdist.measures.ntk_lazy import least_norm
from tests.measures.searched import fresh, linear, samples, trained, values

SMALL = (("dataset.train_size", 20), ("model.width", 16), ("stop.max_epochs", 1))
CASES = [
    ("mlp", {}),
    ("mlp", {"model.init": "ntk", "model.bias": False}),
    ("mlp", {"model.output_scale": 3.0}),
    ("mlp", {"model.linearize": True}),
    ("cnn", {"model.head": "average"}),
    ("resnet", {}),
]


def _expected(subject: MeasureInputs, index: int) -> float:
    """||J^+ (Y - f_0(X))||_2, J the whole Jacobian [m C, p] in float64."""
    model = subject.initial.model
    inputs, labels = (part[index] for part in subject.data.train_slice(0, subject.data.train_size))
    start = {name: p[index].double() for name, p in subject.initial.parameters.items()}

    def outputs(parameters: dict[str, Tensor]) -> Tensor:
        used = {name: p * model.multipliers.get(name, 1.0) for name, p in parameters.items()}
        return functional_call(model.module, used, (inputs.double(),))

    scale = 1.0 if model.output_scale is None else model.output_scale
    rows = torch.cat([part.flatten(2) for part in jacrev(outputs)(start).values()], dim=2).flatten(0, 1) * scale
    begun = outputs(start) if model.output_scale is None else torch.zeros(len(labels), 10)
    missing = torch.nn.functional.one_hot(labels, 10) - begun
    found, *_ = np.linalg.lstsq(rows.numpy(), missing.flatten().numpy(), rcond=None)
    return float(np.linalg.norm(found))


@pytest.mark.parametrize(("model", "overrides"), CASES)
def test_the_closed_form_is_the_shortest_way_that_fits(model: str, overrides: dict) -> None:
    """Of 20 samples, all of which these networks can fit. It knows nothing of the training."""
    subject = trained(model, 2, (*SMALL, *overrides.items()))
    found = values(subject, "lazy_distance")["lazy_distance", None]
    assert found == pytest.approx([_expected(subject, index) for index in range(2)], rel=1e-5)


def test_a_kernel_that_is_too_large_is_no_value() -> None:
    subject = trained("mlp", 2, SMALL)
    assert all(map(math.isnan, values(fresh(subject, lazy_outputs=199), "lazy_distance")["lazy_distance", None]))
    assert all(map(math.isfinite, values(fresh(subject, lazy_outputs=200), "lazy_distance")["lazy_distance", None]))


def test_by_hand() -> None:
    """f = W x from W = 0: of x = (3, 4) with the label 0 the shortest W has the row (3, 4)/25 for class 0."""
    subject = linear([[0.0, 0.0], [0.0, 0.0]], None, samples([[3.0, 4.0]], [0]))
    assert values(subject, "lazy_distance")["lazy_distance", None] == pytest.approx([1 / 5])


@pytest.mark.parametrize(("labels", "found"), [([0, 0], 1 / 5), ([0, 1], math.inf)])
def test_a_singular_kernel_has_a_value_where_the_targets_can_be_fitted(labels: list[int], found: float) -> None:
    """The same input twice."""
    subject = linear([[0.0, 0.0], [0.0, 0.0]], None, samples([[3.0, 4.0], [3.0, 4.0]], labels))
    assert values(subject, "lazy_distance")["lazy_distance", None] == pytest.approx([found], rel=1e-6)


def test_what_is_not_finite_is_no_value() -> None:
    kernel = torch.eye(2, dtype=torch.float64)
    assert least_norm(kernel, torch.tensor([3.0, 4.0], dtype=torch.float64)).item() == pytest.approx(5)
    assert least_norm(kernel * math.nan, torch.ones(2, dtype=torch.float64)).isnan()
