"""How much Gaussian noise on its weights a network withstands: the standard deviation at which accuracy is lost.

N networks, D draws, m training samples. Every trained parameter is perturbed, biases and gains too: a PAC-Bayes bound
holds for nothing less, and the norms in the bounds count the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initdist.measures import _noise
from initdist.measures._bisection import bisect
from initdist.measures._part import Part, by_row, column, errors, over_parts, standard_error, taken
from initdist.measures._subject import Subject
from initdist.schema import MeasuresConfig
from initdist.stack import Parameters, Stack

LOST = 0.1  # of the training samples, those that are no longer classified as they were
UPPER = 2.0
FLOOR = 1e-3  # epsilon of magnitude-aware noise

Spread = Callable[[Tensor, Tensor], Tensor]  # parameters, s as a column -> standard deviations


def plain(p: Tensor, s: Tensor) -> Tensor:
    return s


def by_magnitude(p: Tensor, s: Tensor) -> Tensor:
    """sqrt(s^2 w^2 + epsilon^2)."""
    return (s * p).square_().add_(FLOOR**2).sqrt_()


@dataclass(frozen=True)
class Withstood:
    """The standard deviation [N] that costs LOST of the accuracy, and its Monte-Carlo standard error [N]."""

    sigma: Tensor
    error: Tensor


def withstood(subject: Subject) -> dict[str, Withstood]:
    """Standard deviations by name: of `plain` noise, one for all, and of noise by `magnitude`. NaN where diverged.

    The mean train accuracy under noise of a standard deviation is taken over D draws, each on a block of its own of
    the training set; all standard deviations share the draws. The threshold is interpolated between the ends of the
    final bracket, within [0, UPPER]; a network that withstands everything has just below UPPER.
    """

    def search(part: Part) -> dict[str, Tensor]:
        noises = [_noise.gaussian(part.trained, part.seeds, draw) for draw in range(subject.options.draws)]
        found = {}
        for name, spread in (("plain", plain), ("magnitude", by_magnitude)):
            found[name], found[f"{name} error"] = _Noisy(part, noises, spread, subject.options).search()
        return found

    found = over_parts(subject, subject.options.draws + 3, search)
    return {name: Withstood(found[name], found[f"{name} error"]) for name in ("plain", "magnitude")}


class _Noisy:
    """The networks of a part under noise."""

    def __init__(self, part: Part, noises: list[Parameters], spread: Spread, options: MeasuresConfig) -> None:
        self._stack = part.trained
        self._finite = part.finite
        self._noises = noises
        self._spread = spread
        self._tolerance = options.search_tolerance
        self._blocks = [part.block(draw, options.subset) for draw in range(options.draws)]
        clean = torch.stack([errors(part.trained, *block) for block in self._blocks], dim=1)
        self._size = self._blocks[0][0].shape[1]
        self._clean = clean  # [N, D] misclassified without noise
        self._allowed = clean.sum(1) + LOST * clean.shape[1] * self._size  # [N]

    def search(self) -> tuple[Tensor, Tensor]:
        """Threshold and standard error [N]."""
        low, high = bisect(self._accepted, self._finite, UPPER, self._tolerance)
        lost_low, lost_high = self._lost(low), self._lost(high)
        mean_low, mean_high = by_row(torch.mean, lost_low), by_row(torch.mean, lost_high)
        slope = (mean_high - mean_low) / (high - low)
        crossed = mean_high > LOST  # the ends of every bracket lose less and more than that, but for UPPER
        sigma = torch.where(crossed, low + (LOST - mean_low) / slope, high)
        error = standard_error((lost_low + lost_high) / 2) / slope
        return sigma, error.where(crossed, torch.nan)

    def _accepted(self, values: Tensor, networks: Tensor) -> Tensor:
        """Whether the mean accuracy falls by at most LOST. Exact: no further draw takes an error back."""
        total = torch.zeros_like(values)
        for draw in range(len(self._noises)):
            open_ = (total <= self._allowed[networks]).nonzero().squeeze(1)
            if len(open_) == 0:
                break
            total[open_] += self._errors(draw, values[open_], networks[open_])
        return total <= self._allowed[networks]

    def _lost(self, values: Tensor) -> Tensor:
        """Fraction [N, D] of a draw's samples that noise of these standard deviations [N] costs; NaN where diverged."""
        lost = torch.full_like(self._clean, torch.nan)
        networks = self._finite.nonzero().squeeze(1)
        if len(networks):
            for draw in range(len(self._noises)):
                found = self._errors(draw, values[networks], networks)
                lost[networks, draw] = (found - self._clean[networks, draw]) / self._size
        return lost

    def _errors(self, draw: int, values: Tensor, networks: Tensor) -> Tensor:
        stack = taken(self._stack, networks)
        noise = taken(Stack(stack.form, self._noises[draw]), networks).parameters
        perturbed = {
            name: torch.addcmul(p, noise[name], self._spread(p, column(values, p)).expand_as(p))
            for name, p in stack.parameters.items()
        }
        inputs, labels = self._blocks[draw]
        if len(networks) < len(self._stack):
            inputs, labels = inputs[networks], labels[networks]
        return errors(replace(stack, parameters=perturbed), inputs, labels)
