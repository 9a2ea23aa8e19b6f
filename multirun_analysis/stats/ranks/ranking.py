"""Pair statistics of all measures at once, their ranks, and paired differences from the leader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.intervals import correlation_interval, differences_from_leader
from multirun_analysis.stats.league.candidates import Candidates
from multirun_analysis.stats.league.league_types import RESAMPLED, STATISTICS, Estimate, Granulated, Standing
from multirun_analysis.stats.ranks.pairs import Linear, Pairs, linearized, pairs_within, tau_b, variance
from multirun_analysis.stats.regression.ols import MINIMUM

SMALLER_IS_BETTER = ("sign_error",)
AXIS = "axis "  # prefix of one axis' set of pairs


@dataclass(frozen=True)
class Evaluated:
    """A statistic of K measures: a sum over sets of pairs of shares [sets, K] times tau-b."""

    parts: tuple[Linear, ...]
    shares: np.ndarray
    values: np.ndarray  # [K], NaN where undefined

    def less(self, other: Evaluated) -> Evaluated:
        """The difference of two statistics over the same sets, each measure with its counterpart."""
        parts = []
        for one, two, share, its in zip(self.parts, other.parts, self.shares, other.shares, strict=True):
            terms = (share * one.terms - its * two.terms).astype(np.float32)
            parts.append(Linear(one.pairs, share * one.values - its * two.values, terms))
        return Evaluated(tuple(parts), np.ones_like(self.shares), self.values - other.values)

    def columns(self, index: np.ndarray | slice) -> Evaluated:
        """The same for some measures, repeated where an index is."""
        parts = tuple(Linear(part.pairs, part.values[index], part.terms.T[index].T) for part in self.parts)
        return Evaluated(parts, self.shares[:, index], self.values[index])


@dataclass(frozen=True)
class PairStatistics:
    """sets: `tau`, `tau_within` and one an axis -> the pairs of configurations that it counts."""

    sets: dict[str, Pairs]
    configurations: int

    @classmethod
    def of(cls, grid: Grid) -> PairStatistics:
        """Of all configurations of a grid."""
        sets = {"tau": pairs_within(np.zeros(len(grid), dtype=np.int64)), "tau_within": pairs_within(grid.groups)}
        sets |= {AXIS + axis: pairs_within(grid.but(axis)) for axis in grid.design.axes}
        return cls(sets, len(grid))

    def evaluate(self, x: np.ndarray, y: np.ndarray, only: Sequence[str] = ()) -> dict[str, Evaluated]:
        """Statistic -> its values for x [configurations, K]; `psi` averages the axes where tau is defined.

        only: the statistics that are needed, default all.
        """
        wanted = [name for name in self.sets if not only or name in only or ("psi" in only and name.startswith(AXIS))]
        found = {name: linearized(self.sets[name], x, y) for name in wanted}
        one = np.ones((1, x.shape[1]))
        results = {name: Evaluated((part,), one, part.values) for name, part in found.items()}
        if only and "psi" not in only:
            return results
        axes = tuple(part for name, part in found.items() if name.startswith(AXIS))
        taus = np.array([part.values for part in axes]).reshape(len(axes), x.shape[1])
        usable = ~np.isnan(taus)
        shares = usable / np.maximum(usable.sum(axis=0), 1)
        values = np.where(usable.any(axis=0), np.sum(np.where(usable, taus, 0) * shares, axis=0), np.nan)
        clean = tuple(replace(part, terms=np.nan_to_num(part.terms.T).T) for part in axes)
        results["psi"] = Evaluated(clean, shares, values)
        return results

    def replicates(self, statistic: str, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[B, K] values of one of RESAMPLED under each row of weights."""
        if statistic != "psi":
            return tau_b(self.sets[statistic], x, y, weights)
        axes = [tau_b(pairs, x, y, weights) for name, pairs in self.sets.items() if name.startswith(AXIS)]
        stacked = np.array(axes).reshape(len(axes), len(weights), x.shape[1])
        number = (~np.isnan(stacked)).sum(axis=0)
        return np.where(number > 0, np.nansum(stacked, axis=0) / np.maximum(number, 1), np.nan)

    def estimates(self, evaluated: dict[str, Evaluated], x: np.ndarray, y: np.ndarray) -> dict[str, list[Estimate]]:
        """Statistic -> each measure's value with its interval."""
        defined = ~(np.isnan(x) | np.isnan(y)[:, None])
        results = {}
        for name, item in evaluated.items():
            known: dict[bytes, int] = {}
            points = np.zeros(x.shape[1], dtype=np.int64)
            for k in range(x.shape[1]):
                parts = [part.pairs for part, share in zip(item.parts, item.shares[:, k], strict=True) if share > 0]
                key = defined[:, k].tobytes() + (item.shares[:, k] > 0).tobytes()
                points[k] = known[key] if key in known else known.setdefault(key, _touched(parts, defined[:, k]))
            spread = variance(item.parts, item.shares, self.configurations, points, sampled=name == "tau")
            apart = [
                _disjoint([part.pairs for part, share in zip(item.parts, item.shares[:, k], strict=True) if share > 0],
                          defined[:, k]) if wide <= 0 else 0
                for k, wide in enumerate(spread)
            ]  # fmt: skip
            results[name] = [
                correlation_interval(float(value), float(wide), int(number), free)
                for value, wide, number, free in zip(item.values, spread, points, apart, strict=True)
            ]
        return results

    def notes(self) -> list[str]:
        """Which sets of pairs were subsampled."""
        return [
            f"{name.removeprefix(AXIS)}: {len(pairs)} of {pairs.total} pairs, drawn by a fixed seed."
            for name, pairs in self.sets.items()
            if len(pairs) < pairs.total
        ]


def granulated(estimates: dict[str, list[Estimate]], k: int) -> Granulated:
    """Psi of measure k with its axes."""
    axes = {name.removeprefix(AXIS): found[k] for name, found in estimates.items() if name.startswith(AXIS)}
    return Granulated(estimates["psi"][k], axes)


def ranks(rows: Sequence[Standing], configurations: int) -> tuple[list[Standing], dict[str, str]]:
    """The rows with their places under every statistic, and the leaders. Ties share the better place.

    A measure that ranks the networks as an earlier one does has that one's place and takes none. Under MINIMUM
    configurations, of the table or with the measure, there are no places.
    """
    if configurations < MINIMUM:
        return list(rows), {}
    places: list[dict[str, int]] = [{} for _ in rows]
    leaders = {}
    for statistic in STATISTICS:
        sign = 1 if statistic in SMALLER_IS_BETTER else -1
        scores = [row.score(statistic) if row.configurations >= MINIMUM else None for row in rows]
        distinct = zip(rows, scores, strict=True)
        known = sorted(sign * score for row, score in distinct if score is not None and not row.same_as)
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
) -> list[Standing]:
    """Leader less measure over the same configurations and resamples, where both are defined.

    weights: multinomial_weights, the sample's own row first.
    """
    results: list[dict] = [{} for _ in rows]
    numbers = {row.measure: k for k, row in enumerate(rows)}
    for leader in sorted({numbers[leaders[name]] for name in RESAMPLED if name in leaders}):
        led = [name for name in RESAMPLED if name in leaders and numbers[leaders[name]] == leader]
        sides, ahead, points = _both_defined(x, leader)
        evaluated = pairs.evaluate(sides, y, led)
        for name in led:
            everyone = slice(len(rows))
            difference = evaluated[name].columns(ahead).less(evaluated[name].columns(everyone))
            spread = variance(difference.parts, difference.shares, len(y), points, sampled=name == "tau")
            defined = np.array([row.score(name) is not None for row in rows])
            defined[leader] = False
            drawn = pairs.replicates(name, sides, y, weights[1:])
            moved = drawn[:, ahead] - drawn[:, everyone]
            found = differences_from_leader(rows[leader].measure, difference.values, np.sqrt(spread), moved, defined)
            for result, item in zip(results, found, strict=True):
                if item is not None:
                    result[name] = item
    return [replace(row, differences=result) for row, result in zip(rows, results, strict=True)]


def _both_defined(x: np.ndarray, leader: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x [configurations, K] where the leader is defined, and beside it the leader where each measure is.

    Returns the columns, the number of each measure's leader column [K] (one for each pattern of gaps), and the
    configurations where both are defined [K].
    """
    undefined = np.isnan(x[:, [leader]]) | np.isnan(x)
    patterns, number = np.unique(undefined, axis=1, return_inverse=True)
    ahead, behind = np.where(patterns, np.nan, x[:, [leader]]), np.where(undefined, np.nan, x)
    return np.column_stack([behind, ahead]), x.shape[1] + number.ravel(), (~undefined).sum(axis=0)


def _touched(parts: Sequence[Pairs], defined: np.ndarray) -> int:
    """Configurations in a pair whose two are defined."""
    touched = np.zeros(len(defined), dtype=bool)
    for pairs in parts:
        both = defined[pairs.first] & defined[pairs.second]
        touched[pairs.first[both]] = touched[pairs.second[both]] = True
    return int(touched.sum())


def _disjoint(parts: Sequence[Pairs], defined: np.ndarray) -> int:
    """How many pairs can be chosen of which no two share a configuration (greedily)."""
    taken, count = ~defined, 0
    for pairs in parts:
        for i, j in zip(pairs.first, pairs.second, strict=True):
            if not (taken[i] or taken[j]):
                taken[i] = taken[j] = True
                count += 1
    return count


def same_ranking(found: Candidates, k: int) -> str:
    """An earlier measure whose values are the same up to rounding, or the empty string."""
    for earlier in range(k):
        columns = found.values[:, [earlier, k]]
        # Most differ at once: a few rows decide before all are compared.
        if all(np.allclose(part[:, 0], part[:, 1], 1e-5, 0, equal_nan=True) for part in (columns[:32], columns)):
            return found.entries[earlier].name
    return ""
