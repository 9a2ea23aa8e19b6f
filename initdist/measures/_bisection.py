"""Searches for N thresholds at once: each network has its own bracket, and leaves when that is narrow enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from initdist.measures._part import by_row

STEPS = 40  # from an upper end of 2 down to 2e-12: what still is not accepted then has the threshold 0


def bisect(
    accepted: Callable[[Tensor, Tensor], Tensor], searched: Tensor, upper: float, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Brackets (lower [N], upper [N]), in float64, of the largest value that is accepted, from [0, upper].

    accepted(values [k], networks [k]) -> bool [k] answers for k of the networks; it is asked only for those of
    `searched` (bool [N]), the others get NaN. Each bracket ends at most `tolerance` times its upper end wide. 0 counts
    as accepted and `upper` as not: a network that everything is accepted of ends just below `upper`.
    """
    low = torch.zeros(len(searched), dtype=torch.float64, device=searched.device)
    high = torch.full_like(low, upper)
    for _ in range(STEPS):
        networks = (searched & (high - low > tolerance * high)).nonzero().squeeze(1)
        if len(networks) == 0:
            break
        middle = (low[networks] + high[networks]) / 2
        good = accepted(middle, networks)
        low[networks] = middle.where(good, low[networks])
        high[networks] = middle.where(~good, high[networks])
    return low.where(searched, torch.nan), high.where(searched, torch.nan)


@dataclass(frozen=True)
class Crossing:
    """Brackets (low [N], high [N]) and what is lost [N, D] at their ends; NaN for a network that is not searched."""

    low: Tensor
    high: Tensor
    at_low: Tensor
    at_high: Tensor


def crossing(
    lost: Callable[[Tensor, Tensor], Tensor], guess: Tensor, draws: int, allowed: float, upper: float, tolerance: float
) -> Crossing:
    """Where the mean of lost(values [k], networks [k]) -> [k, draws] grows above `allowed`, near a guess [N] for it.

    At 0 nothing is lost. A network whose guess is NaN is not searched. One that loses no more than that at `upper` ends
    with both ends there; every other bracket ends at most `tolerance` times its upper end wide.
    """
    searched = guess.isfinite()
    at, low, high = guess.clamp(max=upper), torch.zeros_like(guess), torch.full_like(guess, torch.inf)
    at_low = torch.zeros(len(guess), draws, dtype=guess.dtype, device=guess.device)
    at_high = at_low.clone()
    for _ in range(STEPS):
        networks = (searched & (high.isinf() | (high - low > tolerance * high))).nonzero().squeeze(1)
        if len(networks) == 0:
            break
        value, found = at[networks], lost(at[networks], networks)
        mean = by_row(torch.mean, found)
        for good, ends, there in ((mean <= allowed, low, at_low), (mean > allowed, high, at_high)):
            ends[networks[good]], there[networks[good]] = value[good], found[good]
        whole = networks[(mean <= allowed) & (value == upper)]
        high[whole], at_high[whole] = low[whole], at_low[whole]
        at[networks] = _next(low[networks], high[networks], mean / allowed, upper, tolerance)
    unknown = ~searched[:, None]
    return Crossing(
        *(end.where(searched, torch.nan) for end in (low, high)),
        *(there.masked_fill(unknown, torch.nan) for there in (at_low, at_high)),
    )


def _next(low: Tensor, high: Tensor, ratio: Tensor, upper: float, tolerance: float) -> Tensor:
    """The middle of a bracket; while one end is not known, a value beyond the crossing, from the loss over the allowed.

    A loss grows about with the square of the value, or faster: with this step the other end is likely to be found at
    once, and near.
    """
    least = 1 / (1 - tolerance)
    up = (least / ratio.clamp(min=1e-3).sqrt()).clamp(least, 4)
    down = (least * ratio.sqrt()).clamp(least, 4)
    inside = torch.where(low > 0, (low + high) / 2, high / down)
    return torch.where(high.isinf(), (low * up).clamp(max=upper), inside)
