"""Bisection of N thresholds at once: each network has its own bracket, and leaves when that is narrow enough."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

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
