"""Kendall's tau-b over chosen pairs of configurations, for many measures and many bootstrap weights at once.

Legend: G configurations, K measures, P pairs, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LIMIT = 200_000  # pairs of one set; more are subsampled by a fixed seed
CHUNK = 8_192
UNDEFINED = 9  # state of a pair beside its nine pairs of signs


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
    """[B, K] tau-b of x [G, K] with y [G] under each row of weights [B, G]; NaN where every pair is tied.

    A pair counts w_i w_j times, so a configuration makes no pair with its own copy. Pairs where x or y is NaN are left
    out. Kendall 1945; tied pairs leave the denominators as in tau-b. Sums are of whole numbers below 2^24: exact.
    """
    score = np.zeros((x.shape[1], len(weights)))
    x_untied, y_untied = np.zeros_like(score), np.zeros_like(score)
    by_configuration = np.ascontiguousarray(weights.T)
    gaps = np.isnan(x).any(axis=0) | np.isnan(y).any()
    for start in range(0, len(pairs), CHUNK):
        i, j = pairs.first[start : start + CHUNK], pairs.second[start : start + CHUNK]
        weight = by_configuration[i] * by_configuration[j]
        sx, sy = signs(x[i], x[j]), signs(y[i], y[j])
        score += (sx * sy[:, None]).T @ weight
        x_free = sx != 0
        tied = ~x_free.all(axis=0)
        x_untied[~tied] += weight.sum(axis=0)
        y_untied[~gaps] += (sy != 0).astype(np.float32) @ weight
        if gaps.any():
            defined = ~(np.isnan(x[i][:, gaps]) | np.isnan(x[j][:, gaps]) | np.isnan(y[i] + y[j])[:, None])
            y_untied[gaps] += (defined & (sy != 0)[:, None]).T.astype(np.float32) @ weight
            x_free[:, gaps] &= defined
        if tied.any():
            x_untied[tied] += x_free[:, tied].T.astype(np.float32) @ weight
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((score / np.sqrt(x_untied * y_untied)).T)


@dataclass(frozen=True)
class Linear:
    """values [K]: tau-b. terms [P, K]: what each pair adds to it, to first order; they sum to 0 (0 where undefined)."""

    pairs: Pairs
    values: np.ndarray
    terms: np.ndarray


def linearized(pairs: Pairs, x: np.ndarray, y: np.ndarray) -> Linear:
    """tau-b of x [G, K] with y [G] over the pairs, as score/sqrt(x_untied y_untied), linearized in those three.

    A pair's term depends on its two signs only: nine states and a tenth for undefined, so a table of ten terms.
    """
    i, j = pairs.first, pairs.second
    target = sign_of(y[i], y[j])
    missing = np.isnan(y[i]) | np.isnan(y[j])
    sx, sy = np.repeat([-1, 0, 1], 3), np.tile([-1, 0, 1], 3)
    values, terms = np.full(x.shape[1], np.nan), np.zeros((x.shape[1], len(pairs)), dtype=np.float32)
    for k, column in enumerate(x.T):
        a, b = column[i], column[j]
        state = 3 * sign_of(a, b) + target + np.int8(4)
        undefined = missing | np.isnan(a) | np.isnan(b)
        state[undefined] = UNDEFINED
        counts = np.bincount(state, minlength=UNDEFINED + 1)[:UNDEFINED]
        number = max(int(counts.sum()), 1)
        x_share, y_share = counts[sx != 0].sum() / number, counts[sy != 0].sum() / number
        scale = np.sqrt(x_share * y_share)
        if scale == 0:
            terms[k] = np.where(undefined, 0, np.nan)
            continue
        values[k] = (counts @ (sx * sy)) / number / scale
        table = sx * sy / scale - values[k] / 2 * ((sx != 0) / x_share + (sy != 0) / y_share)
        terms[k] = np.append(table / number, 0).astype(np.float32)[state]
    return Linear(pairs, values, terms.T)


def sign_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """sign(a - b) as int8, infinities ranked; 0 where either is NaN."""
    return (a > b).astype(np.int8) - (a < b).astype(np.int8)


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
    by_row, square = np.zeros((shares.shape[1], rows)), np.zeros(shares.shape[1])
    for part, share in zip(parts, shares, strict=True):
        for k, terms in enumerate(part.terms.T):
            for end in (part.pairs.first, part.pairs.second):
                by_row[k] += share[k] * np.bincount(end, weights=terms, minlength=rows)
            square[k] += share[k] ** 2 * np.einsum("p,p->", terms, terms, dtype=float)
    once = (by_row**2).sum(axis=1)
    found = once if sampled else np.maximum(once - square, square)
    return np.asarray(found * points / np.maximum(points - 2, 1))
