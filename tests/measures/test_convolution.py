"""Operator norms of convolutions against the linear map written out, on a torus, with strides and dilations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from initdist import measures
from initdist.measures._convolution import Grid, operator_norm
from tests.measures.subjects import select, trained, value


def written_out(weight: Tensor, grid: Grid) -> Tensor:
    """The matrix of a circular convolution [out, in / groups, *kernel], output by output and tap by tap."""
    kept = [n // s for n, s in zip(grid.size, grid.stride, strict=True)]
    outputs, width = weight.shape[:2]
    matrix = torch.zeros(outputs, *kept, width * grid.groups, *grid.size, dtype=torch.float64)
    places = list(itertools.product(*map(range, kept)))
    for o, i, place in itertools.product(range(outputs), range(width), places):
        source = o // (outputs // grid.groups) * width + i
        for tap in itertools.product(*map(range, weight.shape[2:])):
            pixel = [
                (p * s + t * d) % n
                for p, s, t, d, n in zip(place, grid.stride, tap, grid.dilation, grid.size, strict=True)
            ]
            matrix[(o, *place, source, *pixel)] += weight[(o, i, *tap)]
    return matrix.view(outputs * math.prod(kept), -1)


CASES = [
    ((4, 3, 3, 3), Grid((8, 8), (1, 1), (1, 1))),
    ((3, 4, 3, 3), Grid((7, 5), (1, 1), (1, 1))),
    ((4, 3, 3, 3), Grid((8, 8), (2, 2), (1, 1))),
    ((6, 1, 5, 3), Grid((6, 4), (2, 1), (1, 1))),  # a kernel almost as large as the image
    ((2, 2, 3, 3), Grid((2, 2), (2, 2), (1, 1))),  # and a larger one: it wraps around
    ((2, 3, 3, 3), Grid((9, 6), (3, 2), (2, 1))),
    ((4, 2, 3), Grid((8,), (2,), (1,))),
    ((4, 2, 3, 3), Grid((6, 6), (2, 2), (1, 1), groups=2)),
]


@pytest.mark.parametrize(("shape", "grid"), CASES, ids=str)
def test_against_the_map_written_out(shape: tuple[int, ...], grid: Grid) -> None:
    weights = torch.randn(3, *shape)
    expected = [torch.linalg.matrix_norm(written_out(one.double(), grid), 2).item() for one in weights]
    assert operator_norm(weights, grid).tolist() == pytest.approx(expected, rel=1e-9)


def test_against_the_transforms_of_the_source() -> None:
    """numpy's singular values of fft2, as in the paper's code, without a stride."""
    weight = torch.randn(1, 5, 4, 3, 3)
    transforms = np.fft.fft2(weight[0].double().numpy(), (8, 6), axes=(2, 3))
    expected = np.linalg.svd(transforms.transpose(2, 3, 0, 1), compute_uv=False).max()
    assert operator_norm(weight, Grid((8, 6), (1, 1), (1, 1))).item() == pytest.approx(expected, rel=1e-9)


def test_known_norms_and_a_network_that_diverged() -> None:
    """A kernel of ones adds up what it covers: 9 times a constant image, and no more. A single tap only shifts."""
    ones, shift, broken = torch.ones(1, 1, 3, 3), torch.zeros(1, 1, 3, 3), torch.full((1, 1, 3, 3), math.nan)
    shift[0, 0, 0, 1] = -2.5
    found = operator_norm(torch.stack([ones, shift, broken]), Grid((8, 8), (1, 1), (1, 1)))
    assert found[:2].tolist() == pytest.approx([9, 2.5])
    assert math.isnan(found[2])
    strided = operator_norm(torch.stack([ones, shift]), Grid((8, 8), (2, 2), (1, 1)))
    assert strided[1].item() == pytest.approx(2.5)
    # A constant image of 64 ones becomes 16 nines: the norm is at least their ratio.
    assert strided[0].item() >= 9 * math.sqrt(16 / 64) - 1e-9


def test_the_layers_of_a_network_are_those_of_its_images() -> None:
    """8x8 images, halved by each convolution: 8x8 and 4x4 reach the two of them."""
    subject = select(trained("cnn"), 0)
    found = measures.compute(["spectral_norm_fft"], subject)
    kernels = [p[0].double() for p in subject.trained.parameters.values() if p.dim() == 5]
    for k, (kernel, size) in enumerate(zip(kernels, (8, 4), strict=True), start=1):
        matrix = written_out(kernel, Grid((size, size), (2, 2), (1, 1)))
        expected = torch.linalg.matrix_norm(matrix, 2).item()
        assert found["spectral_norm_fft", f"layer{k}"].item() == pytest.approx(expected, rel=1e-6)
    assert {layer for _, layer in found} == {"layer1", "layer2"}
    logs = [
        *(2 * math.log(one.item()) for one in found.values()),
        2 * math.log(value("spectral_norm", subject, "layer3")),
    ]
    assert value("log_prod_of_spec_fft", subject) == pytest.approx(sum(logs))
    assert value("log_sum_of_spec_fft", subject) == pytest.approx(math.log(3) + sum(logs) / 3)


def test_every_convolution_of_a_residual_network_has_a_norm() -> None:
    subject = trained("resnet")
    kernels = [p for p in subject.trained.parameters.values() if p.dim() == 5]
    found = measures.compute(["spectral_norm_fft"], subject)
    assert len(found) == len(kernels)
    # Of each patch it makes no more than its matrix does, and a pixel is in at most nine patches: within sqrt(9) times.
    for (_, layer), values in found.items():
        bound = measures.compute(["spectral_norm"], subject)["spectral_norm", layer] * 3
        assert (values <= bound + 1e-9).all()
