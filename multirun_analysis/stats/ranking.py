"""Pair statistics of all measures at once, their ranks, and paired differences from the leader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from multirun_analysis.stats.candidates import Candidates
from multirun_analysis.stats.design import Design, codes
from multirun_analysis.stats.intervals import correlation_interval, differences_from_leader
from multirun_analysis.stats.pairs import Pairs, pairs_within, tau_b
from multirun_analysis.stats.standings import RESAMPLED, STATISTICS, Estimate, Granulated, Standing

SMALLER_IS_BETTER = ("sign_error",)
AXIS = "axis "  # prefix of the replicates of one axis' tau


@dataclass(frozen=True)
class Estimates:
    """The three pair statistics of one measure."""

    tau: Estimate
    tau_within: Estimate
    psi: Granulated


@dataclass(frozen=True)
class PairStatistics:
    """sets: `tau`, `tau_within` and one an axis -> the pairs of configurations that it counts."""

    sets: dict[str, Pairs]

    @classmethod
    def of(cls, frame: pd.DataFrame, design: Design, code: np.ndarray) -> PairStatistics:
        """frame: networks; code [networks]: their configuration, numbered in order of appearance."""
        first = np.unique(code, return_index=True)[1]
        one = frame.iloc[first]
        sets = {
            "tau": pairs_within(np.zeros(len(one), dtype=np.int64)),
            "tau_within": pairs_within(codes(one, design.group_axes)),
        }
        for axis in design.axes:
            sets[AXIS + axis] = pairs_within(codes(one, design.others(axis)))
        return cls(sets)

    def replicates(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Statistic -> [1 + B, K], the sample's own first; `psi` is the mean over the axes that are defined."""
        found = {name: tau_b(pairs, x, y, weights) for name, pairs in self.sets.items()}
        by_axis = np.array([found[name] for name in found if name.startswith(AXIS)])
        if len(by_axis):
            usable = ~np.isnan(by_axis[:, 0])  # [axes, K]: an axis undefined in the sample takes no part in resamples
            held = np.where(usable[:, None], by_axis, np.nan)
            number = (~np.isnan(held)).sum(axis=0)
            found["psi"] = np.where(number > 0, np.nansum(held, axis=0) / np.maximum(number, 1), np.nan)
        else:
            found["psi"] = np.full((len(weights), x.shape[1]), np.nan)
        return found

    def estimates(self, replicates: dict[str, np.ndarray], k: int, x: np.ndarray, y: np.ndarray) -> Estimates:
        """Those of measure k, each with its interval."""
        defined = ~(np.isnan(x[:, k]) | np.isnan(y))

        def estimate(name: str) -> Estimate:
            pairs = self.sets[name]
            both = defined[pairs.first] & defined[pairs.second]
            points = len(np.unique(np.concatenate([pairs.first[both], pairs.second[both]])))
            return correlation_interval(replicates[name][:, k], points)

        by_axis = {name.removeprefix(AXIS): estimate(name) for name in self.sets if name.startswith(AXIS)}
        points = max((item.points for item in by_axis.values()), default=0)
        psi = correlation_interval(replicates["psi"][:, k], points)
        return Estimates(estimate("tau"), estimate("tau_within"), Granulated(psi, by_axis))

    def notes(self) -> list[str]:
        """Which sets of pairs were subsampled."""
        return [
            f"{name.removeprefix(AXIS)}: {len(pairs)} of {pairs.total} pairs, drawn by a fixed seed."
            for name, pairs in self.sets.items()
            if len(pairs) < pairs.total
        ]


def ranks(rows: Sequence[Standing]) -> tuple[list[Standing], dict[str, str]]:
    """The rows with their places under every statistic, and the leaders. Ties share the better place."""
    places: list[dict[str, int]] = [{} for _ in rows]
    leaders = {}
    for statistic in STATISTICS:
        sign = 1 if statistic in SMALLER_IS_BETTER else -1
        scores = [row.score(statistic) for row in rows]
        known = sorted(sign * score for score in scores if score is not None)
        for place, score in zip(places, scores, strict=True):
            if score is not None:
                place[statistic] = 1 + int(np.searchsorted(known, sign * score))
        first = next((row.measure for row, place in zip(rows, places, strict=True) if place.get(statistic) == 1), None)
        if first is not None:
            leaders[statistic] = first
    return [replace(row, ranks=place) for row, place in zip(rows, places, strict=True)], leaders


def paired_differences(
    rows: Sequence[Standing],
    leaders: dict[str, str],
    pairs: PairStatistics,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    replicates: dict[str, np.ndarray],
) -> list[Standing]:
    """Leader less measure in the same resamples, on the configurations where both are defined."""
    results = [dict(row.differences) for row in rows]
    numbers = {row.measure: k for k, row in enumerate(rows)}
    held: dict[int, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = {}
    for statistic in RESAMPLED:
        if statistic not in leaders:
            continue
        leader = numbers[leaders[statistic]]
        other = np.array([not np.array_equal(np.isnan(x[:, k]), np.isnan(x[:, leader])) for k in range(len(rows))])
        difference = replicates[statistic][:, [leader]] - replicates[statistic]
        if other.any():
            if leader not in held:
                both = np.isnan(x[:, [leader]]) | np.isnan(x[:, other])
                ahead = np.where(both, np.nan, x[:, [leader]])
                behind = np.where(both, np.nan, x[:, other])
                held[leader] = pairs.replicates(ahead, y, weights), pairs.replicates(behind, y, weights)
            difference[:, other] = held[leader][0][statistic] - held[leader][1][statistic]
        defined = np.array([row.score(statistic) is not None for row in rows])
        defined[leader] = False
        for result, item in zip(
            results, differences_from_leader(rows[leader].measure, difference, defined), strict=True
        ):
            if item is not None:
                result[statistic] = item
    return [replace(row, differences=result) for row, result in zip(rows, results, strict=True)]


def same_ranking(found: Candidates, k: int) -> str:
    """An earlier measure whose values are the same up to rounding, or the empty string."""
    for earlier in range(k):
        if np.allclose(found.values[:, earlier], found.values[:, k], rtol=1e-5, atol=0, equal_nan=True):
            return found.entries[earlier].name
    return ""
