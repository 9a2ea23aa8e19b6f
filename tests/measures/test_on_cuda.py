"""On a CUDA device networks pass together, and matrices are iterated on together: to the same values."""

from __future__ import annotations

import pytest
import torch

from initdist import measures
from initdist.data import stack_data
from initdist.measures import MeasureInputs
from initdist.measures._spectral import largest_singular_value
from initdist.stacks import stack
from initdist.stacks.stack import Stack
from tests.measures.subjects import configs, trained

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICE = torch.device("cuda")


@pytest.mark.parametrize(
    "kind", ["mlp, one hidden layer", "mlp, wide", "mlp, ntk", "mlp, output_scale", "cnn", "resnet"]
)
def test_measures_are_those_of_a_cpu(kind: str) -> None:
    here = trained(kind)
    built = stack.build(configs(kind), (1, 8, 8), 10, DEVICE)
    there = Stack(built.model, {name: p.to(DEVICE) for name, p in here.trained.parameters.items()}, built.reference)
    given = stack_data.build(configs(kind), DEVICE)
    subject = MeasureInputs(there, built, given, options=here.options, seeds=here.seeds)
    for groups, tolerance in ((["core", "norms", "margins", "bounds", "ntk"], 1e-3), (["curvature"], 1e-2)):
        expected, found = measures.compute(groups, here), measures.compute(groups, subject)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            if key[1] != "error":  # differences of what is almost equal
                assert found[key].tolist() == pytest.approx(values.tolist(), rel=tolerance), key
    # Samples at a decision boundary may fall on either side: a bracket more or less.
    for name in ("pacbayes_sigma", "pacbayes_mag_sigma", "sharpness_alpha", "sharpness_mag_alpha"):
        expected, found = measures.compute([name], here), measures.compute([name], subject)
        assert found[name, None].tolist() == pytest.approx(expected[name, None].tolist(), rel=0.25), name


def test_spectral_norms_of_many_matrices_together() -> None:
    matrices = torch.randn(40, 200, 300)
    expected = largest_singular_value(matrices)
    assert largest_singular_value(matrices.to(DEVICE)).tolist() == pytest.approx(expected.tolist(), rel=1e-9)
