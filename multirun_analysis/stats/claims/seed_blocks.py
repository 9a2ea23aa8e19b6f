"""One cell's regression: value ~ seed + level, and a contrast of its levels, with seeds as the replicates.

Legend: S seeds, L levels. CR2 with seeds as clusters (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018). Where every
seed has every level this is the mean of the seeds' own contrasts, with their standard error and S - 1 degrees of
freedom: the paired t test. Residuals of networks would give more degrees of freedom, but are wrong as soon as seeds
have slopes of their own (docs/statistics.md has the error rates).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtr, stdtrit

from multirun_analysis.stats.regression.clustered import TINY
from multirun_analysis.stats.regression.ols import CONFIDENCE, Interval, demean, independent, t_interval

MINIMUM_SEEDS = 3


@dataclass(frozen=True)
class Blocked:
    """effect: the contrast. scores [S]: what each seed adds to its error; gram [S, S]: their covariance for networks
    of unit variance; seeds [S]: the seeds' numbers."""

    effect: float
    scores: np.ndarray
    gram: np.ndarray
    seeds: np.ndarray

    @property
    def tested(self) -> bool:
        """Whether there are seeds enough for a test."""
        return len(self.seeds) >= MINIMUM_SEEDS

    @property
    def se(self) -> float:
        return float(np.linalg.norm(self.scores))

    @property
    def df(self) -> float:
        """Satterthwaite's; S - 1 where every seed has every level."""
        return float(np.trace(self.gram) ** 2 / np.sum(self.gram**2))

    def interval(self) -> Interval | None:
        """Two-sided 95%."""
        return t_interval(self.effect, self.se, self.df, len(self.seeds)) if self.tested else None

    def limit(self, lower: bool) -> float | None:
        """One-sided 95% limit, the lower or the upper one."""
        if not self.tested:
            return None
        half = float(stdtrit(self.df, CONFIDENCE)) * self.se
        return self.effect - half if lower else self.effect + half

    def p_above(self, margin: float) -> float:
        """One-sided p that the effect lies above the margin."""
        if self.se == 0:
            return float(self.effect <= margin)
        return float(stdtr(self.df, (margin - self.effect) / self.se))

    def p_below(self, margin: float) -> float:
        """One-sided p that the effect lies below the margin."""
        if self.se == 0:
            return float(self.effect >= margin)
        return float(stdtr(self.df, (self.effect - margin) / self.se))


def blocked(values: np.ndarray, weights: np.ndarray, seeds: np.ndarray) -> Blocked:
    """values [S, L], NaN where a seed lacks a level; every seed has two levels, and any two levels share a seed.

    weights [L]: the contrast, summing to 0. The effect is the contrast of the least-squares level effects.
    """
    present = ~np.isnan(values)
    load, spread = _design(present.tobytes(), present.shape, weights.tobytes())
    centred = np.where(present, values - np.nanmean(values, axis=1, keepdims=True), 0.0).ravel()
    scores = spread @ centred
    scores[np.abs(scores) <= 1e-13 * (np.abs(spread) @ np.abs(centred))] = 0.0  # rounding is no spread
    return Blocked(float(load @ centred), scores, spread @ spread.T, seeds)


def mean_of(cells: list[Blocked]) -> Blocked:
    """The mean effect of several cells. They share their seeds: a seed's errors are added before they are squared."""
    seeds = np.unique(np.concatenate([cell.seeds for cell in cells]))
    scores, gram = np.zeros(len(seeds)), np.zeros((len(seeds), len(seeds)))
    for cell in cells:
        place = np.searchsorted(seeds, cell.seeds)
        scores[place] += cell.scores / len(cells)
        gram[np.ix_(place, place)] += cell.gram / len(cells) ** 2
    return Blocked(float(np.mean([cell.effect for cell in cells])), scores, gram, seeds)


@lru_cache(maxsize=256)
def _design(present: bytes, shape: tuple[int, int], weights: bytes) -> tuple[np.ndarray, np.ndarray]:
    """load [S L]: effect = load @ values. spread [S, S L]: scores = spread @ values. Zero where nothing is present.

    With M the residual maker and a_s the load of seed s, seed s scores a_s' (M_ss)^(-1/2) M_s values.
    """
    there = np.frombuffer(present, dtype=bool).reshape(shape)
    seed, level = np.nonzero(there)
    levels = demean(np.eye(shape[1])[level], seed)
    basis = independent(levels)
    own = levels @ np.linalg.pinv(levels.T @ levels) @ np.frombuffer(weights)
    makers = demean(np.eye(len(seed)), seed) - basis @ basis.T
    load, spread = np.zeros(there.size), np.zeros((shape[0], there.size))
    place = seed * shape[1] + level
    load[place] = own
    for number in range(shape[0]):
        rows = seed == number
        values, vectors = np.linalg.eigh(makers[np.ix_(rows, rows)])
        root = np.where(values > TINY, 1 / np.sqrt(np.maximum(values, TINY)), 0.0)
        spread[number, place] = ((own[rows] @ vectors) * root @ vectors.T) @ makers[rows]
    return load, spread
