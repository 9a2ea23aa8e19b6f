"""Largest singular values against torch.linalg and matrices whose singular values are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from initdist.measures import _spectral
from initdist.measures._spectral import largest_singular_value

SMALL = _spectral.SMALL["cpu"]
SHAPES = [
    (1, 1),
    (1, 9),
    (10, 64),
    (SMALL, SMALL),
    (SMALL + 1, 400),
    (400, SMALL + 1),
    (300, 300),
    (256, 784),
    (500, 784),
]


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape) * math.sqrt(2 / sum(shape[-2:]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["initial", "trained", "moved"])
def test_against_a_full_decomposition_in_double_precision(shape: tuple[int, int], kind: str) -> None:
    """Initial weights have their largest singular values close together; trained ones a few far out."""
    matrices = _random(3, *shape)
    if kind != "initial":
        low = torch.randn(3, shape[0], 2) @ torch.randn(3, 2, shape[1]) / math.sqrt(shape[0] * shape[1])
        matrices = low + (0.01 if kind == "moved" else 1) * matrices
    expected = torch.linalg.svdvals(matrices.double())[:, 0]
    assert largest_singular_value(matrices).tolist() == pytest.approx(expected.tolist(), rel=1e-9)


@pytest.mark.parametrize("size", [3, SMALL + 40])
def test_known_singular_values(size: int) -> None:
    diagonal = torch.linspace(-1, 0.5, size)
    vectors = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q
    twice = torch.linspace(0, 1, size, dtype=torch.float64)
    twice[-2:] = 1  # the largest value twice
    matrices = torch.stack(
        [
            torch.diag(diagonal).double(),
            torch.eye(size, dtype=torch.float64),
            vectors * 5,
            vectors @ torch.diag(twice) @ vectors.mT,
            torch.zeros(size, size, dtype=torch.float64),
            torch.full((size, size), 2.0, dtype=torch.float64),
            1e-20 * torch.eye(size, dtype=torch.float64),
        ]
    )
    expected = [1, 1, 5, 1, 0, 2 * size, 1e-20]
    assert largest_singular_value(matrices).tolist() == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("shape", [(10, 64), (300, 400)], ids=str)
def test_each_matrix_has_its_own_value_whatever_its_neighbours(shape: tuple[int, int]) -> None:
    """Equal bit for bit; a matrix that is not finite has none."""
    matrices = torch.cat([_random(4, *shape), torch.zeros(1, *shape), _random(1, *shape) * 1e15])
    matrices[2, 0, 0], matrices[3, 1, 0] = torch.nan, torch.inf
    together = largest_singular_value(matrices)
    assert together.isnan().tolist() == [False, False, True, True, False, False]
    for index in (0, 1, 4, 5):
        assert largest_singular_value(matrices[index : index + 1]).item() == together[index].item()


def test_a_value_is_the_same_in_any_group_of_matrices() -> None:
    """As on CUDA, where several are iterated on together: each has the value of its own convergence."""
    matrices = torch.cat([_random(2, 150, 160), torch.randn(1, 150, 1) @ torch.randn(1, 1, 160)])
    together = _spectral._lanczos(matrices).sqrt()
    alone = torch.cat([_spectral._lanczos(one) for one in matrices.split(1)]).sqrt()
    assert together.tolist() == pytest.approx(alone.tolist(), rel=1e-12)
