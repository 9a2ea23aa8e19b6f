"""On a CUDA device networks pass together, and matrices are iterated on together: to the same values."""

from __future__ import annotations

import pytest
import torch

from initdist import data, measures, stack
from initdist.measures import Subject
from initdist.measures._spectral import largest_singular_value
from initdist.stack import Stack
from tests.measures.subjects import configs, trained

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICE = torch.device("cuda")


@pytest.mark.parametrize(
    "kind", ["mlp, one hidden layer", "mlp, wide", "mlp, ntk", "mlp, output_scale", "cnn", "resnet"]
)
def test_measures_are_those_of_a_cpu(kind: str) -> None:
    here = trained(kind)
    built = stack.build(configs(kind), (1, 8, 8), 10, DEVICE)
    there = Stack(built.form, {name: p.to(DEVICE) for name, p in here.trained.parameters.items()}, built.reference)
    groups = ["core", "norms", "margins", "bounds"]
    expected = measures.compute(groups, here)
    found = measures.compute(groups, Subject(there, built, data.build(configs(kind), DEVICE)))
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].tolist() == pytest.approx(values.tolist(), rel=1e-3), key


def test_spectral_norms_of_many_matrices_together() -> None:
    matrices = torch.randn(40, 200, 300)
    expected = largest_singular_value(matrices)
    assert largest_singular_value(matrices.to(DEVICE)).tolist() == pytest.approx(expected.tolist(), rel=1e-9)
