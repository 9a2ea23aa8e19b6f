"""Kendall's tau-b over chosen pairs of configurations, for many measures and many bootstrap weights at once.

Legend: G configurations, K measures, P pairs, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

LIMIT = 200_000  # pairs of one set; more are subsampled by a fixed seed
CHUNK = 8_192


@dataclass(frozen=True)
class Pairs:
    """first, second: [P] rows of the pairs' two configurations. total: how many there were before subsampling."""

    first: np.ndarray
    second: np.ndarray
    total: int

    def __len__(self) -> int:
        return len(self.first)


def pairs_within(codes: np.ndarray, limit: int = LIMIT) -> Pairs:
    """All pairs of rows with the same code, or `limit` of them drawn without replacement by a fixed seed."""
    order = np.argsort(codes, kind="stable")
    sizes = np.unique(codes, return_counts=True)[1]
    ends = np.cumsum(sizes * (sizes - 1) // 2)
    total = int(ends[-1]) if len(ends) else 0
    chosen = (
        np.arange(total) if total <= limit else np.sort(np.random.default_rng(0).choice(total, limit, replace=False))
    )
    group = np.searchsorted(ends, chosen, side="right")
    local = chosen - (ends - sizes * (sizes - 1) // 2)[group]
    later = ((1 + np.sqrt(1 + 8 * local.astype(float))) / 2).astype(np.int64)
    later -= later * (later - 1) // 2 > local
    earlier = local - later * (later - 1) // 2
    start = (np.cumsum(sizes) - sizes)[group]
    return Pairs(order[start + earlier], order[start + later], total)


def signs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """sign(first - second) as float32 that also ranks infinities; 0 where either is NaN."""
    return (first > second).astype(np.float32) - (first < second)


def multinomial_weights(rows: int, resamples: int, seed: int) -> np.ndarray:
    """[1 + B, G] float32: a row of ones (the sample itself), then how often each resample holds each configuration."""
    drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=resamples)
    return np.vstack([np.ones((1, rows)), drawn]).astype(np.float32)


def tau_b(pairs: Pairs, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[1 + B, K] tau-b of x [G, K] with y [G] under each row of weights; NaN where every pair is tied.

    A pair counts w_i w_j times, so a configuration makes no pair with its own copy. Pairs where x or y is NaN are left
    out. Kendall 1945; tied pairs leave the denominators as in tau-b.
    """
    score = np.zeros((len(weights), x.shape[1]))
    x_untied, y_untied = np.zeros_like(score), np.zeros_like(score)
    gaps = bool(np.isnan(x).any() or np.isnan(y).any())
    for start in range(0, len(pairs), CHUNK):
        i, j = pairs.first[start : start + CHUNK], pairs.second[start : start + CHUNK]
        weight = weights[:, i] * weights[:, j]
        sx, sy = signs(x[i], x[j]), signs(y[i], y[j])[:, None]
        score += weight @ (sx * sy)
        if gaps:
            defined = ~(np.isnan(x[i]) | np.isnan(x[j]) | np.isnan(y[i] + y[j])[:, None])
            x_untied += weight @ ((sx != 0) & defined).astype(np.float32)
            y_untied += weight @ ((sy != 0) & defined).astype(np.float32)
        else:
            untied = sx != 0
            x_untied += (weight.sum(axis=1) if untied.all() else weight @ untied.astype(np.float32)).reshape(
                len(weights), -1
            )
            y_untied += weight @ (sy != 0).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        return score / np.sqrt(x_untied * y_untied)


@dataclass(frozen=True)
class Linear:
    """values [K]: tau-b. terms [P, K]: what each pair adds to it, to first order; they sum to 0 (0 where undefined)."""

    pairs: Pairs
    values: np.ndarray
    terms: np.ndarray


def linearized(pairs: Pairs, x: np.ndarray, y: np.ndarray) -> Linear:
    """tau-b of x [G, K] with y [G] over the pairs, as score/sqrt(x_untied y_untied), linearized in those three."""
    i, j = pairs.first, pairs.second
    sx, sy = signs(x[i], x[j]), signs(y[i], y[j])[:, None]
    defined = ~(np.isnan(x[i]) | np.isnan(x[j]) | np.isnan(y[i] + y[j])[:, None])
    number = np.maximum(defined.sum(axis=0), 1)
    score, x_untied, y_untied = sx * sy, sx != 0, (sy != 0) & defined
    x_share, y_share = x_untied.sum(axis=0) / number, y_untied.sum(axis=0) / number
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(x_share * y_share)
        values = score.sum(axis=0) / number / scale
        terms = score / scale - values / 2 * (x_untied / x_share + y_untied / y_share)
    return Linear(pairs, values, np.where(defined, terms / number, 0).astype(np.float32))


def variance(
    parts: Sequence[Linear], shares: np.ndarray, rows: int, points: np.ndarray, *, sampled: bool = False
) -> np.ndarray:
    """[K] sampling variance of sum_a shares[a] tau_a over sets a of pairs, rows = configurations.

    Pairs that share a configuration depend on each other: sum_i (sum of the terms of i's pairs)^2, less the sum of
    squared terms that this counts twice, at least that sum once, times points/(points - 2) (dyadic-robust; Fafchamps &
    Gubert 2007). Within groups a bootstrap and a jackknife count the second order twice: too wide where groups are
    small. sampled: the levels of the configurations are random too, as for pairs across groups; nothing is then
    subtracted (the jackknife's variance).
    """
    by_row = np.zeros((rows, shares.shape[1]))
    square = np.zeros(shares.shape[1])
    for part, share in zip(parts, shares, strict=True):
        place = np.arange(len(part.pairs))
        shape = (rows, len(part.pairs))
        ends = [
            csr_matrix((np.ones(len(place)), (end, place)), shape=shape)
            for end in (part.pairs.first, part.pairs.second)
        ]
        by_row += share * ((ends[0] + ends[1]) @ part.terms)
        square += share**2 * np.einsum("pk,pk->k", part.terms, part.terms, dtype=float)
    once = (by_row**2).sum(axis=0)
    found = once if sampled else np.maximum(once - square, square)
    return np.asarray(found * points / np.maximum(points - 2, 1))
