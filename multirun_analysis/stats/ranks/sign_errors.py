"""Robust sign error of Dziugaite et al. (arXiv 2010.11924), and a sharper form on the shared test set.

Legend: C configurations, S seeds (NaN-padded), E environments, K measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from multirun_analysis.stats.design import Design
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.league.league_types import SignError
from multirun_analysis.stats.ranks.pairs import pairs_within, signs

EFFECTIVE = 12.0  # (sum w)^2/sum w^2 that an environment needs: at least 4 seeds
PER_AXIS = 400  # environments of one axis; more are subsampled by a fixed seed
SEED_PAIRS = 100_000  # in one axis' environments: beyond it there are fewer of these, but at least
FEWEST = 50
SEEDS = 100  # of one configuration, whose pairs are compared; of more so many are drawn by a fixed seed


@dataclass(frozen=True)
class Environments:
    """Pairs of complete configurations that differ in one axis. networks [C, S]: rows of the frame, -1 where none."""

    axis: np.ndarray  # [E] number of the axis
    first: np.ndarray  # [E] configuration
    second: np.ndarray  # [E]
    networks: np.ndarray
    totals: dict[str, int]  # axis -> environments before subsampling
    seeds: int  # the most networks of a configuration, before subsampling

    def notes(self, design: Design) -> list[str]:
        """Which axes' environments were subsampled."""
        kept = {axis: int(np.sum(self.axis == design.axes.index(axis))) for axis in self.totals}
        parts = [f"{axis} {kept[axis]} of {total}" for axis, total in self.totals.items() if kept[axis] < total]
        if self.seeds > SEEDS:
            parts.append(f"networks of a configuration {SEEDS} of {self.seeds}")
        return [f"Environments of the sign errors, drawn by a fixed seed: {', '.join(parts)}."] if parts else []


def environments(grid: Grid, axes: Sequence[str] | None = None) -> Environments:
    """A configuration is complete if it has at least as many networks as the median configuration."""
    code, design = grid.code, grid.design
    sizes = np.bincount(code)
    order = _drawn(code) if sizes.max(initial=0) > SEEDS else np.argsort(code, kind="stable")
    place = np.arange(len(code)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    networks = np.full((len(sizes), sizes.max(initial=0)), -1)
    networks[code[order], place] = order
    networks = networks[:, :SEEDS]
    complete = np.flatnonzero(sizes >= np.median(sizes)) if len(sizes) else np.empty(0, dtype=np.int64)
    limit = min(PER_AXIS, max(FEWEST, SEED_PAIRS // max(networks.shape[1], 1) ** 2))
    number, first, second, totals = [], [], [], {}
    for index, axis in enumerate(design.axes):
        if axes is not None and axis not in axes:
            continue
        pairs = pairs_within(pd.factorize(grid.but(axis)[complete])[0], limit)
        totals[axis] = pairs.total
        number.append(np.full(len(pairs), index))
        first.append(complete[pairs.first])
        second.append(complete[pairs.second])
    empty = np.empty(0, dtype=np.int64)
    stack = [np.concatenate(part) if part else empty for part in (number, first, second)]
    return Environments(stack[0], stack[1], stack[2], networks, totals, int(sizes.max(initial=0)))


def _drawn(code: np.ndarray) -> np.ndarray:
    """Rows by configuration [networks], those of one in a random order, the same in every analysis."""
    shuffled = np.random.default_rng(0).permutation(len(code))
    return shuffled[np.argsort(code[shuffled], kind="stable")]


def seed_pairs(found: Environments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """first, second [E, S*S]: rows of the frame; present [E, S*S]: whether both networks exist."""
    seeds = found.networks.shape[1]
    first = np.repeat(found.networks[found.first], seeds, axis=1)
    second = np.tile(found.networks[found.second], (1, seeds))
    return first, second, (first >= 0) & (second >= 0)


def certainty(difference: np.ndarray, test_size: np.ndarray | float) -> np.ndarray:
    """Weight of a pair whose gaps differ by so much: how surely the sign is not test-set noise (Hoeffding).

    w = max(0, 1 - 2 exp(-2 t (|dg|/2)^2))^2, then max(0, w - 0.5), t test samples (2010.11924, its authors' code).
    """
    w = np.maximum(0, 1 - 2 * np.exp(-2 * test_size * (np.abs(difference) / 2) ** 2)) ** 2
    return np.maximum(0, w - 0.5)


def mcnemar_certainty(only_first: np.ndarray, only_second: np.ndarray) -> np.ndarray:
    """The same for two networks on one test set, from the samples that only one of them gets right.

    w = (1 - p)^2, then max(0, w - 0.5), p of McNemar's test with Edwards' continuity correction: samples on which both
    are right or both are wrong say nothing on the sign, and their noise does not count.
    """
    discordant = only_first + only_second
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.maximum(0, np.abs(only_first - only_second) - 1) / np.sqrt(discordant)
    p = np.where(discordant > 0, 2 * ndtr(-np.where(discordant > 0, z, 0)), 1)
    return np.maximum(0, (1 - p) ** 2 - 0.5)


def sign_errors(
    found: Environments, design: Design, values: np.ndarray, sign: np.ndarray, weight: np.ndarray
) -> list[SignError]:
    """values [networks, K]; sign, weight [E, S*S] of the target's differences over the seed pairs, weight 0 = unused.

    An environment's error is sum w (1 - sgn(dmu) sgn(dg))/2 / sum w over the pairs where the measure is defined.
    """
    first, second, present = seed_pairs(found)
    results = []
    for mu in values.T:
        a, b = mu[first], mu[second]
        w = np.where(present & ~np.isnan(a) & ~np.isnan(b), weight, 0.0)
        total, square = w.sum(axis=1), (w**2).sum(axis=1)
        survives = (square > 0) & (total**2 >= EFFECTIVE * square)
        error = np.sum(w * (1 - signs(a, b) * sign) / 2, axis=1)[survives] / total[survives]
        results.append(_summary(error, found, survives, design))
    return results


def _summary(error: np.ndarray, found: Environments, survives: np.ndarray, design: Design) -> SignError:
    axis = found.axis[survives]
    numbers = {name: design.axes.index(name) for name in found.totals}
    surviving = {name: int(np.sum(axis == number)) for name, number in numbers.items()}
    considered = {name: int(np.sum(found.axis == number)) for name, number in numbers.items()}
    if not len(error):
        return SignError(None, None, None, surviving, considered, note="no environment certifies the sign of a gap")
    by_axis = {name: float(error[axis == number].mean()) for name, number in numbers.items() if surviving[name]}
    mean, high, top = float(error.mean()), float(np.quantile(error, 0.9)), float(error.max())
    return SignError(mean, high, top, surviving, considered, by_axis)
