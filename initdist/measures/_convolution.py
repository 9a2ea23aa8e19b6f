"""Operator norms of convolutions on a torus (Sedghi et al. 2019, arXiv 1805.10408), with strides.

N networks; weights [N, out, in, *kernel]. With a circular boundary a convolution maps each frequency to itself, by the
matrix [out, in] that is the kernel's Fourier transform there: its singular values are those of all these matrices. A
stride s keeps every s-th output, which folds the s frequencies that differ by multiples of n / s into one: their
matrices stand side by side, over sqrt(s). The source has no strides; this follows from the transform of a subsequence.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from initdist.measures._inputs import MeasureInputs

BYTES = 256 * 2**20  # of transforms that are decomposed together


@dataclass(frozen=True)
class Grid:
    """Where a convolution works: for each dimension of its images the size, the stride and the dilation."""

    size: tuple[int, ...]  # on the torus: a multiple of the stride
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1


def operator_norms(subject: MeasureInputs) -> Mapping[str, Tensor]:
    """Layer label -> operator norm [N], in float64, of each convolution; other layers are left out."""
    grids, weights = _grids(subject), _weight_names(subject)
    found = {}
    for layer, weight in subject.weights.items():
        name = weights[layer]
        if name in grids:
            kernel = weight.unflatten(2, subject.trained.parameters[name].shape[2:])
            found[layer] = operator_norm(kernel, grids[name])
    return found


def operator_norm(weight: Tensor, grid: Grid) -> Tensor:
    """Operator norms [N] of weights [N, out, in / groups, *kernel]; NaN where a weight is not finite."""
    finite = weight.flatten(1).isfinite().all(1)
    values = []
    for own in weight.where(finite.view(-1, *[1] * (weight.dim() - 1)), 0).double():
        parts = [_largest(part, grid) for part in own.chunk(grid.groups)]
        values.append(torch.stack(parts).amax())
    return torch.stack(values).where(finite, torch.nan)


def _largest(weight: Tensor, grid: Grid) -> Tensor:
    """The largest singular value of one convolution [out, in, *kernel]."""
    out, width = weight.shape[0], weight.shape[1] * math.prod(grid.stride)
    together = max(1, BYTES // (16 * (out * width + min(out, width) ** 2)))
    found = []
    for folded in _frequencies(grid, weight.device).split(together):
        blocks = _transforms(weight, folded.flatten(0, 1), grid).unflatten(0, folded.shape[:2])
        matrices = blocks.movedim(1, 2).flatten(2)  # [F, out, aliases * in]
        wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mH
        found.append(torch.linalg.eigvalsh(wide @ wide.mH)[:, -1].amax())
    return (torch.stack(found).amax().clamp(min=0) / math.prod(grid.stride)).sqrt()


def _frequencies(grid: Grid, device: torch.device) -> Tensor:
    """Frequencies [F, aliases, dimensions] in whole numbers: those that one output frequency folds together.

    Of the first dimension half of them: the others are conjugate to these.
    """
    kept = [n // s for n, s in zip(grid.size, grid.stride, strict=True)]
    ranges = [range(kept[0] // 2 + 1), *map(range, kept[1:])]
    shifts = list(itertools.product(*(range(s) for s in grid.stride)))
    return torch.tensor(
        [
            [[w + a * k for w, a, k in zip(frequency, shift, kept, strict=True)] for shift in shifts]
            for frequency in itertools.product(*ranges)
        ],
        device=device,
    )


def _transforms(weight: Tensor, frequencies: Tensor, grid: Grid) -> Tensor:
    """Fourier transforms [F, out, in] of a kernel [out, in, *kernel] at these frequencies [F, dimensions]."""
    taps = torch.cartesian_prod(*(torch.arange(k, device=weight.device) for k in weight.shape[2:]))
    taps = taps.view(-1, len(grid.size)) * torch.tensor(grid.dilation, device=weight.device)
    size = torch.tensor(grid.size, device=weight.device)
    turns = ((frequencies[:, None] * taps) % size / size.double()).sum(2)  # [F, taps]
    phases = torch.polar(torch.ones_like(turns), -2 * math.pi * turns)
    flat = weight.flatten(2)
    return (phases @ flat.flatten(0, 1).T.to(phases.dtype)).unflatten(1, flat.shape[:2])


def _weight_names(subject: MeasureInputs) -> dict[str, str]:
    """Layer label -> the name of its weight parameter."""
    matrices = [name for name, p in subject.trained.parameters.items() if p.dim() > 2]
    return dict(zip(subject.weights, matrices, strict=True))


def _grids(subject: MeasureInputs) -> dict[str, Grid]:
    """Name of a convolution's weight -> its grid, from the images that reach it. Sizes are rounded up to the stride."""
    model = subject.trained.model
    grids: dict[str, Grid] = {}

    def watch(name: str, layer: nn.modules.conv._ConvNd) -> object:
        def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            size = tuple(-(-n // s) * s for n, s in zip(given[0].shape[2:], layer.stride, strict=True))
            grids[f"{name}.weight" if name else "weight"] = Grid(size, layer.stride, layer.dilation, layer.groups)

        return keep

    layers = {n: part for n, part in model.module.named_modules() if isinstance(part, nn.modules.conv._ConvNd)}
    hooks = [part.register_forward_pre_hook(watch(name, part)) for name, part in layers.items()]  # type: ignore[arg-type]
    zeros = torch.zeros(1, *subject.data.shared.description.input_shape, device=subject.trained.device)
    try:
        functional_call(model.module, {name: p[0] for name, p in subject.trained.parameters.items()}, (zeros,))
    finally:
        for hook in hooks:
            hook.remove()
    return grids
