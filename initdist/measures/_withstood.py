"""How much Gaussian noise on its weights a network withstands: the standard deviation at which accuracy is lost.

N networks, D draws, m training samples. Every trained parameter is perturbed, biases and gains too: a PAC-Bayes bound
holds for nothing less, and the norms in the bounds count the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initdist.config.schema import MeasuresConfig
from initdist.measures import _directions
from initdist.measures._bisection import bisect, crossing
from initdist.measures._inputs import MeasureInputs
from initdist.measures._part import Part, by_row, column, errors, over_parts, standard_error, taken
from initdist.stacks.stack import Parameters, Stack

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


def withstood(subject: MeasureInputs) -> dict[str, Withstood]:
    """Standard deviations by name: of `plain` noise, one for all, and of noise by `magnitude`. NaN where diverged.

    The mean train accuracy under noise of a standard deviation is taken over D draws, each on a block of its own of
    the training set; all standard deviations share the draws. The threshold is interpolated between the ends of the
    final bracket, within [0, UPPER]; a network that withstands everything has UPPER.
    """

    def search(part: Part) -> dict[str, Tensor]:
        noises = [_directions.gaussian(part.trained, part.seeds, draw) for draw in range(subject.options.draws)]
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
        self._clean = [errors(part.trained, *block) for block in self._blocks]

    def search(self) -> tuple[Tensor, Tensor]:
        """Threshold and standard error [N]: a search with one draw, and from there one with all of them."""
        ends = bisect(self._keeps_first, self._finite, UPPER, self._tolerance)
        guess = (ends[0] + ends[1]) / 2
        found = crossing(self._lost, guess, len(self._noises), LOST, UPPER, self._tolerance)
        mean_low, mean_high = by_row(torch.mean, found.at_low), by_row(torch.mean, found.at_high)
        slope = (mean_high - mean_low) / (found.high - found.low)
        crossed = mean_high > LOST  # or everything is withstood
        sigma = torch.where(crossed, found.low + (LOST - mean_low) / slope, found.high)
        # From 0 a loss grows ever faster: a bracket in which it seems not to has met the draws' own steps.
        steepness = torch.maximum(slope, LOST / sigma)
        error = standard_error((found.at_low + found.at_high) / 2) / steepness
        return sigma, error.where(crossed, torch.nan)

    def _keeps_first(self, values: Tensor, networks: Tensor) -> Tensor:
        return self._lost_in(0, values, networks) <= LOST

    def _lost(self, values: Tensor, networks: Tensor) -> Tensor:
        return torch.stack([self._lost_in(draw, values, networks) for draw in range(len(self._noises))], dim=1)

    def _lost_in(self, draw: int, values: Tensor, networks: Tensor) -> Tensor:
        """Fraction [k] of a draw's samples that noise of these standard deviations [k] costs these networks [k]."""
        stack = taken(self._stack, networks)
        noise = taken(Stack(stack.model, self._noises[draw]), networks).parameters
        perturbed = {
            name: torch.addcmul(p, noise[name], self._spread(p, column(values, p)).expand_as(p))
            for name, p in stack.parameters.items()
        }
        inputs, labels = self._blocks[draw]
        if len(networks) < len(self._stack):
            inputs, labels = inputs[networks], labels[networks]
        wrong = errors(replace(stack, parameters=perturbed), inputs, labels)
        return (wrong - self._clean[draw][networks]) / labels.shape[1]
