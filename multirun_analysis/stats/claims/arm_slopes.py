"""Slopes of the gap on the distance within seeds, and gaps at equal distance: estimates in one cell, with p values.

S seeds. What is estimated from several networks of a seed is jackknifed over seeds (leave one out), which keeps them
paired: the slope over the arms and the slope over the free networks share the free networks, so their errors go
together. The ratio's interval is Fieller's on these two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from multirun_analysis import labels
from multirun_analysis.runs.arms import BALL, FREE, PULL, SHELL
from multirun_analysis.stats.claims.arm_cells import SAME, Cell, slope_of
from multirun_analysis.stats.claims.paper_claims import Claim
from multirun_analysis.stats.claims.seed_blocks import MINIMUM_SEEDS, Blocked
from multirun_analysis.stats.regression.ols import CONFIDENCE, Interval

CURVE = (BALL, FREE, SHELL)  # the arms whose slope is compared with observation


@dataclass(frozen=True)
class Slopes:
    """Slopes of the gap on the distance in one cell, as fractions per unit of distance, with 95% intervals.

    intervened: over init_ball, free and init_shell, within seeds. observed: over the free configurations of its group.
    """

    cell: dict[str, Any]
    intervened: float | None
    intervened_interval: Interval | None
    observed: float | None
    observed_interval: Interval | None


@dataclass(frozen=True)
class Found:
    """A cell before Holm, in the claim's unit. note: why it cannot be tested."""

    effect: float | None = None
    interval: Interval | None = None
    p_for: float = 1.0
    p_against: float = 1.0
    seeds: int = 0
    blocked: Blocked | None = None
    note: str = ""


def _intervened(cell: Cell, seeds: np.ndarray) -> float:
    """The slope over the arms of one network: an intercept for each seed."""
    use = cell.pick(CURVE) & np.isin(cell.seed, seeds)
    if not use.any():
        return math.nan
    number = np.unique(cell.seed[use], return_inverse=True)[1]
    return slope_of(cell.x[use], cell.y[use], number)


def _informing(cell: Cell) -> np.ndarray:
    """The seeds with arms at two distances or more."""
    use = cell.pick(CURVE)
    spread = {
        seed: np.ptp(own) / own.max()
        for seed in np.unique(cell.seed[use])
        if len(own := cell.x[use & (cell.seed == seed)])
    }
    return np.array([seed for seed, width in spread.items() if width > SAME])


def _jackknifed(estimate: Callable[[np.ndarray], float], seeds: np.ndarray) -> Blocked | None:
    """An estimate from a set of seeds, each of which is left out in turn; None where it is not always defined."""
    whole, number = estimate(seeds), len(seeds)
    without = np.array([estimate(np.delete(seeds, k)) for k in range(number)])
    if not (math.isfinite(whole) and np.isfinite(without).all()):
        return None
    scores = (number - 1) * (without.mean() - without) / math.sqrt(number * (number - 1))
    return Blocked(whole, scores, np.eye(number) - 1 / number, seeds)


def _combined(one: Blocked, other: Blocked, times: float) -> Blocked:
    """one - times * other, which are of the same seeds."""
    return replace(one, effect=one.effect - times * other.effect, scores=one.scores - times * other.scores)


def both(cell: Cell) -> tuple[Blocked | None, Blocked | None, str]:
    """The slopes by intervention and by observation, over the same seeds, and why one is missing."""
    if not cell.pick((FREE,)).any():
        return None, None, "too few free networks reach the threshold"
    seeds = _informing(cell)
    if not len(seeds):
        return None, None, "no arm at another distance than the free network reaches the threshold"
    if len(seeds) < MINIMUM_SEEDS:
        few = (
            f"{labels.count(len(seeds), 'seed')} with arms at two distances, but a test needs at least {MINIMUM_SEEDS}"
        )
        return None, None, few
    observed = _jackknifed(cell.group.slope, seeds)
    note = "" if observed is not None else "the free networks of its group do not differ in their distance"
    return _jackknifed(lambda some: _intervened(cell, some), seeds), observed, note


def slopes_of(cell: Cell) -> Slopes:
    one, other, _ = both(cell)
    return Slopes(
        cell.cell,
        None if one is None else one.effect,
        None if one is None else one.interval(),
        None if other is None else other.effect,
        None if other is None else other.interval(),
    )


def ratio(cell: Cell, claim: Claim) -> Found:
    """b_int / b_obs. Twice the one-sided p values, so that 5% is the 95% interval within, below or above the margins.

    All rest on the sign of b_obs: where that is not known, there is no interval and nothing is decided.
    """
    one, other, note = both(cell)
    if one is None or other is None:
        return Found(note=note or "the slope over the arms is not defined when some seed is left out")
    low, high = (_combined(one, other, claim.centre + side * claim.margin) for side in (-1, 1))
    sign = 1 if other.effect > 0 else -1
    known, above_low, below_high = _beyond(other, sign), _beyond(low, sign), _beyond(high, -sign)
    below, above = _beyond(low, -sign), _beyond(high, sign)
    return Found(
        one.effect / other.effect if other.effect else None,
        fieller(one, other),
        min(1.0, 2 * max(known, above_low, below_high)),
        min(1.0, 2 * max(known, min(below, above))),
        len(one.seeds),
    )


def _beyond(found: Blocked, sign: int) -> float:
    """One-sided p that an effect has this sign."""
    return found.p_above(0) if sign > 0 else found.p_below(0)


def fieller(one: Blocked, other: Blocked) -> Interval | None:
    """95% interval of one / other, paired; None where the other may be 0: then it is not bounded (Fieller 1954)."""
    square = float(stdtrit(one.df, 0.5 + CONFIDENCE / 2)) ** 2
    a = other.effect**2 - square * float(other.scores @ other.scores)
    b = one.effect * other.effect - square * float(one.scores @ other.scores)
    c = one.effect**2 - square * float(one.scores @ one.scores)
    if a <= 0:
        return None
    root = math.sqrt(max(b * b - a * c, 0.0))
    ratio = one.effect / other.effect
    se = _combined(one, other, ratio).se / abs(other.effect)
    p = 2 * min(one.p_above(0), one.p_below(0))
    return Interval(se, (b - root) / a, (b + root) / a, float(one.df), float(p), len(one.seeds))


def difference(cell: Cell, claim: Claim) -> Found:
    """The gap under init_decay less that on the line through the ball's arms and the free network, at its distance."""
    own = {}
    for seed in np.unique(cell.seed):
        curve = cell.pick((BALL, FREE)) & (cell.seed == seed)
        pulled = cell.pick((PULL,)) & (cell.seed == seed)
        order = np.argsort(cell.x[curve], kind="stable")
        x, y = cell.x[curve][order], cell.y[curve][order]
        inside = pulled & (cell.x >= x.min(initial=math.inf)) & (cell.x <= x.max(initial=-math.inf))
        if len(x) > 1 and inside.any():
            own[seed] = float(np.mean(cell.y[inside] - np.interp(cell.x[inside], x, y)))
    if len(own) < MINIMUM_SEEDS:
        what = f"{labels.count(len(own), 'seed')} with init_decay at a distance between those of its balls"
        return Found(note=f"{what}, but a test needs at least {MINIMUM_SEEDS}")
    values = np.array(list(own.values()))
    number = len(values)
    scores = (values - values.mean()) / math.sqrt(number * (number - 1))
    found = Blocked(float(values.mean()), scores, np.eye(number) - 1 / number, np.array(list(own)))
    margin, interval = claim.margin / claim.scale, found.interval()
    return Found(
        claim.scale * found.effect,
        None if interval is None else interval.scaled(claim.scale),
        max(found.p_above(-margin), found.p_below(margin)),
        min(1.0, 2 * min(found.p_below(-margin), found.p_above(margin))),
        number,
        found,
    )
