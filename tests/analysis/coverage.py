"""How often the intervals of the league table hold the truth, over planted repeats.

    python tests/analysis/coverage.py [--repeats 500]

One row of a world is a configuration: 3 sample sizes x 3 widths, 4 x 5, or 5 x 10. Three measures follow what of the
gap the axes do not determine with correlation 0, 0.5 and 0.9. In the world `plain` the sample size moves gap and
measures oppositely; in `trend` the width moves both too. The truth of the slopes is planted (in `trend` within groups
it is that of a very large sample), and so is that of the partial correlation. That of tau and Psi is the mean over four
times as many other repeats. Where there is no interval it counts as right, since nothing is said.

Tau over all pairs is about any new configurations, so the levels of the axes are drawn anew for it. The others are
about new configurations on the grid's axes. The headline has worlds of its own as well (slope_worlds.py).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
from slope_worlds import WORLDS, World

from multirun_analysis.stats.design import find_design
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.league.beyond import partials
from multirun_analysis.stats.ranks.information import condition, informations
from multirun_analysis.stats.ranks.ranking import PairStatistics
from multirun_analysis.stats.regression.headline import headline
from multirun_analysis.stats.regression.ols import fit_slope

CORRELATIONS = (0.0, 0.5, 0.9)
SHAPES = {9: (3, 3), 20: (4, 5), 50: (5, 10)}
TRENDS = {"plain": 0.0, "trend": 0.5}


@dataclass(frozen=True)
class Planted:
    """The fixed part of a world: its axes, and what the statistics need of them."""

    size: np.ndarray  # [rows] number of the sample size
    width: np.ndarray
    frame: pd.DataFrame

    @classmethod
    def of(cls, configurations: int, copies: int = 1) -> Planted:
        sizes, widths = SHAPES[configurations]
        size, width = (np.tile(part.ravel(), copies) for part in np.indices((sizes, widths)))
        return cls(size, width, pd.DataFrame({"dataset.train_size": 100 * 2**size, "model.width": 16 * 2**width}))

    @property
    def shape(self) -> Grid:
        return Grid.of(self.frame, find_design(self.frame, list(self.frame)))

    def scattered(self, rng: np.random.Generator) -> Planted:
        """As many configurations, each with levels drawn at random."""
        size, width = (rng.integers(part.max() + 1, size=len(part)) for part in (self.size, self.width))
        return Planted(size, width, self.frame)

    def draw(self, rng: np.random.Generator, trend: float) -> tuple[np.ndarray, np.ndarray]:
        """measures [rows, 3], gap [rows]."""
        free = rng.normal(size=len(self.size))
        other = rng.normal(size=(len(self.size), len(CORRELATIONS)))
        rho = np.array(CORRELATIONS)
        own = rho * free[:, None] + np.sqrt(1 - rho**2) * other
        axes = trend * self.width
        return own + (self.size + axes)[:, None], free - 0.7 * self.size + axes


def intervals(grid: Planted, pairs: PairStatistics, x: np.ndarray, y: np.ndarray) -> dict[str, list]:
    """Statistic -> for each measure (value, low, high)."""
    shape = grid.shape
    groups, controls = shape.groups, shape.hyperparameters[0]
    found = pairs.estimates(pairs.evaluate(x, y), x, y)
    results = {name: [(e.value, e.low, e.high) for e in found[name]] for name in ("tau_within", "psi")}
    results["partial"] = [(e.value, e.low, e.high) for e in partials(x, y, shape)]
    for name, options in (("slope within", {"groups": groups}), ("slope controlled", {"controls": controls})):
        slopes = [fit_slope(y, one, **options) for one in x.T]
        results[name] = [(s.slope, s.interval.low, s.interval.high) for s in slopes]
    return results


def truths(
    grid: Planted, pairs: PairStatistics, configurations: int, trend: float, repeats: int
) -> dict[str, np.ndarray]:
    """Statistic -> [3], by simulation with other seeds, or as planted."""
    rng = np.random.default_rng(1_000_003)
    held = defaultdict(list)
    for _ in range(repeats):
        x, y = grid.draw(rng, trend)
        for name, item in pairs.evaluate(x, y).items():
            held[name].append(item.values)
        held["tau"][-1] = pairs.evaluate(*grid.scattered(rng).draw(rng, trend))["tau"].values
    large = Planted.of(configurations, copies=40_000 // configurations)
    x, y = large.draw(rng, trend)
    result = {name: np.mean(held[name], axis=0) for name in ("tau", "tau_within", "psi")}
    # In closed form: beside the axes the gap is one normal variable, and a measure has its correlation with that.
    result["partial"] = np.array(CORRELATIONS)
    result["slope controlled"] = np.array(CORRELATIONS)
    if trend:  # the width is part of the slope within groups: in the very large sample
        result["slope within"] = np.array([fit_slope(y, one, groups=large.size).slope for one in x.T])
    else:
        result["slope within"] = np.array(CORRELATIONS)
    return result


def coverage(configurations: int, world: str, repeats: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Statistic -> [3] share of repeats whose 95% interval holds the truth, for the three correlations."""
    grid, trend = Planted.of(configurations), TRENDS[world]
    pairs = PairStatistics.of(grid.shape)
    truth = truths(grid, pairs, configurations, trend, 4 * repeats)
    rng = np.random.default_rng(seed)
    hits: dict[str, list] = defaultdict(list)
    for _ in range(repeats):
        drawn = intervals(grid, pairs, *grid.draw(rng, trend))
        x, y = grid.scattered(rng).draw(rng, trend)
        drawn["tau"] = [(e.value, e.low, e.high) for e in pairs.estimates(pairs.evaluate(x, y), x, y)["tau"]]
        for name, found in drawn.items():
            hits[name].append(
                [low is None or low <= t <= high for (_, low, high), t in zip(found, truth[name], strict=True)]
            )
    return {name: np.mean(hit, axis=0) for name, hit in hits.items()}


def false_alarms(
    configurations: int, repeats: int, seeds: int = 3, permutations: int = 99, missing: float = 0.0
) -> dict[str, float]:
    """Share of repeats in which conditional mutual information finds a useless measure above its null (p <= 0.05).

    missing: share of the networks that are left out at random, so that configurations have unequal numbers of seeds.
    """
    one = Planted.of(configurations)
    grid = Planted.of(configurations, copies=seeds)
    rng = np.random.default_rng(5)
    alarms = []
    for repeat in range(repeats):
        _, gap = one.draw(rng, 0.5)
        useless = rng.normal(size=configurations)
        spread = rng.normal(size=(2, len(grid.size)))
        frame = grid.frame.assign(gap=np.tile(gap, seeds) + 0.5 * spread[0])
        values = (np.tile(useless, seeds) + 0.5 * spread[1])[:, None]
        kept = rng.random(len(frame)) >= missing
        networks = frame[kept].reset_index(drop=True)
        shared = condition(Grid.of(networks, grid.shape.design), networks["gap"].to_numpy())
        (found,) = informations(shared, values[kept], permutations, 1_000_000 + repeat)
        alarms.append([item.p <= 0.05 for item in found])
    return dict(zip(("information", "information_pgdl"), np.mean(alarms, axis=0), strict=True))


def headlines(world: World, repeats: int, seed: int = 7) -> tuple[float, float]:
    """Share of repeats with an interval, and of these the share that holds the truth."""
    rng = np.random.default_rng(seed)
    found = [headline(*world.draw(rng)).interval for _ in range(repeats)]
    held = [item.low <= world.mean <= item.high for item in found if item is not None]
    return len(held) / repeats, float(np.mean(held)) if held else np.nan


def main() -> None:
    """Prints percentages, one line a world, size and statistic."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500, help="planted repeats (default 500)")
    repeats = parser.parse_args().repeats
    print(f"coverage of 95% intervals in {repeats} repeats, at correlation {', '.join(map(str, CORRELATIONS))}")
    for kind in TRENDS:
        for configurations in SHAPES:
            for name, share in coverage(configurations, kind, repeats).items():
                percent = "  ".join(f"{100 * value:5.1f}" for value in share)
                print(f"{kind:6} {configurations:3} configurations  {name:17} {percent}", flush=True)
    for world in WORLDS:
        printed, held = headlines(world, repeats)
        print(f"headline: {world}: {100 * printed:5.1f} printed, of these {100 * held:5.1f} right", flush=True)
    for configurations in SHAPES:
        for missing in (0.0, 0.25):
            for name, share in false_alarms(configurations, repeats, missing=missing).items():
                case = f"{configurations:3} configurations, {missing:.0%} of networks missing"
                print(f"useless called useful: {case}  {name:17} {100 * share:5.1f}", flush=True)


if __name__ == "__main__":
    main()
