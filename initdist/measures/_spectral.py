"""Largest singular values of a stack of matrices, to a relative 1e-9: exact where small, by Lanczos where large.

N matrices; products in float64, since single precision decompositions of wide matrices miss by more than 1e-6.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Up to this smaller dimension all eigenvalues of a Gram matrix cost less than the iteration for one of them: on a CPU,
# of 256 x 256 initial weights, 5 ms and 19 (of 512 x 512 32 and 26). On CUDA it works on hundreds of matrices at once.
SMALL = {"cpu": 256, "cuda": 128}
BYTES = 512 * 2**20  # of matrices that are iterated on together
STEPS = 8  # between checks
TOLERANCE = 1e-9  # of the residual, relative to the eigenvalue of the Gram matrix
ROUNDING = 1e-12  # of a new direction's length, relative to the largest entry so far


def largest_singular_value(matrices: Tensor) -> Tensor:
    """Spectral norms [N] of matrices [N, out, in], in float64; NaN where a matrix is not finite."""
    finite = matrices.isfinite().all(dim=(1, 2))
    # One matrix that is not finite must not keep the others from converging.
    wide = matrices.where(finite[:, None, None], 0)
    wide = wide if wide.shape[1] <= wide.shape[2] else wide.mT
    largest = _gram if wide.shape[1] <= SMALL[wide.device.type] else _lanczos
    values = [largest(part) for part in wide.split(_together(wide))]
    return torch.cat(values).clamp(min=0).sqrt().where(finite, torch.nan)


def _together(wide: Tensor) -> int:
    """How many matrices are worked on at once.

    One on a CPU: products with one column round differently for one matrix than for several.
    """
    if wide.device.type == "cpu":
        return 1
    return max(1, BYTES // (8 * wide.shape[1] * wide.shape[2]))


def _gram(wide: Tensor) -> Tensor:
    """Largest eigenvalues [N] of A A^T, for A [N, n, in] with n <= in."""
    wide = wide.double()
    return torch.linalg.eigvalsh(wide @ wide.mT)[:, -1]


def _lanczos(wide: Tensor) -> Tensor:
    """The same by Lanczos' iteration on A A^T, with full reorthogonalization.

    Each matrix has the value that it had when it converged: not that of the last of its stack.
    """
    wide = wide.double().contiguous()
    n = wide.shape[1]
    start = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vector = (start / start.norm()).to(wide.device).expand(len(wide), n)
    basis = vector[:, None]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    scale = wide.new_zeros(len(wide))
    found = wide.new_full((len(wide),), torch.nan)
    while True:
        image = (wide @ (wide.mT @ vector[:, :, None])).squeeze(2)
        diagonal.append((image * vector).sum(1))
        for _ in range(2):  # once leaves what rounding puts back
            image = image - (basis.mT @ (basis @ image[:, :, None])).squeeze(2)
        size = torch.linalg.vector_norm(image, dim=1)
        scale = torch.maximum(scale, torch.maximum(size, diagonal[-1].abs()))
        # What is left when nothing new is reached is rounding: as a direction it would be one of the old ones.
        beside.append(size.where(size > ROUNDING * scale, 0))
        last = len(diagonal) == n
        if last or len(diagonal) % STEPS == 0:
            largest, residual = _ritz(diagonal, beside)
            converged = (residual <= TOLERANCE * largest) | last
            found = torch.where(found.isnan() & converged, largest, found)
            if not found.isnan().any():
                return found
        vector = (image / size[:, None]).where(beside[-1][:, None] > 0, 0)
        basis = torch.cat([basis, vector[:, None]], dim=1)


def _ritz(diagonal: list[Tensor], beside: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Largest Ritz values [N] and the norms of their residuals [N]."""
    between = torch.stack(beside[:-1], dim=1) if len(beside) > 1 else diagonal[0].new_zeros(len(diagonal[0]), 0)
    tridiagonal = torch.diag_embed(torch.stack(diagonal, dim=1))
    tridiagonal = tridiagonal + torch.diag_embed(between, 1) + torch.diag_embed(between, -1)
    values, vectors = torch.linalg.eigh(tridiagonal)
    return values[:, -1], beside[-1] * vectors[:, -1, -1].abs()
