"""Conditional mutual information between the signs of a measure's and the target's differences, with its null.

Legend: C configurations, N networks, Q pairs of configurations (a configuration with itself included), R rows of one
batch, each a measure's values or a permutation of them; a state is one of 9 pairs of signs (measure, target), and three
more hold the pairs where the measure is undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.league.league_types import Information
from multirun_analysis.stats.ranks.pairs import sign_of

CONFIGURATIONS = 100  # more are subsampled by a fixed seed: pairs are quadratic, and each needs its permutations
NETWORKS = 300
SEEDS = 150  # networks of one configuration
BATCH = 20
STATES, ALL_STATES = 9, 12
NO_NULL = "no null: no two configurations have equally many networks with the measure"
TIE = 1e-9  # information that differs by less is equal: tables that mirror each other differ by rounding
_MEASURE, _TARGET = np.repeat(np.eye(3), 3, axis=0), np.tile(np.eye(3), (3, 1))
MARGINS = np.column_stack([_MEASURE, _TARGET, np.ones(STATES)]).astype(np.float32)  # of 9 states: 3 + 3 signs, all
# n log n of states and margins -> information and entropy of the target, both times the cell's pairs.
TERMS = np.repeat([[1, 0], [-1, 0], [-1, -1], [1, 1]], [STATES, 3, 3, 1], axis=0).astype(float)


@dataclass(frozen=True)
class _Cells:
    """How configuration pairs fall into the cells of U_S, for all sets S of axes one below the other.

    ahead, behind [cells, Q]: pairs in the cell's order of levels, and those in the other one, whose signs turn round.
    A cell where both levels are equal holds every pair in both orders.
    """

    axes: tuple[tuple[str, ...], ...]  # [sets]
    which: np.ndarray  # [sets] number of a set's partition: sets that part the configurations alike share one
    starts: np.ndarray  # [partitions] first cell
    ahead: csr_matrix
    behind: csr_matrix


@dataclass(frozen=True)
class Conditioned:
    """What all measures share: chosen networks, the target's signs over their pairs, and the conditionings."""

    rows: np.ndarray  # [N] rows of the frame, configuration by configuration
    starts: np.ndarray  # [C] first of a configuration's networks in rows
    sizes: np.ndarray  # [C]
    first: np.ndarray  # [pairs of networks] places in rows
    second: np.ndarray
    pairs: int  # of configurations
    bases: np.ndarray  # [BATCH, pairs of networks] number of a pair's state, but for the sign of the measure
    cells: _Cells
    total: int  # configurations before subsampling
    left_out: int  # networks of the chosen configurations beyond the first SEEDS

    @property
    def notes(self) -> list[str]:
        """What was subsampled."""
        parts = []
        if len(self.sizes) < self.total:
            parts.append(f"{len(self.sizes)} of {self.total} configurations, drawn by a fixed seed")
        if self.left_out:
            parts.append(f"the first {SEEDS} networks of a configuration")
        return [f"Conditional mutual information and its null: {', '.join(parts)}."] if parts else []


def condition(grid: Grid, target: np.ndarray) -> Conditioned:
    """target [networks]; all sets S of at most two axes."""
    code, number, axes_of = grid.code, len(grid), grid.design.axes
    limit = min(CONFIGURATIONS, max(2, NETWORKS * number // len(code)))
    chosen = np.arange(number)
    if number > limit:
        chosen = np.sort(np.random.default_rng(0).choice(number, limit, replace=False))
    order = np.argsort(code, kind="stable")
    all_sizes = np.bincount(code)
    place = np.arange(len(code)) - np.repeat(np.cumsum(all_sizes) - all_sizes, all_sizes)
    taken = np.isin(code[order], chosen)
    rows = order[taken & (place < SEEDS)]
    local = np.searchsorted(chosen, code[rows])
    sizes = np.bincount(local, minlength=len(chosen))
    first, second = np.triu_indices(len(rows), k=1)
    low, high = local[first], local[second]  # rows are in order of configuration: low <= high
    y = target[rows]
    starts = np.cumsum(sizes) - sizes
    sets = [axes for size in range(min(2, len(axes_of)) + 1) for axes in combinations(axes_of, size)]
    return Conditioned(
        rows,
        starts,
        sizes,
        first,
        second,
        len(chosen) * (len(chosen) + 1) // 2,
        ALL_STATES * (np.arange(BATCH)[:, None] + BATCH * _pair(low, high, len(chosen)))
        + sign_of(y[first], y[second])
        + 1,
        _cells(sets, [pd.factorize(grid.by(*axes)[chosen])[0] for axes in sets]),
        number,
        int(taken.sum()) - len(rows),
    )


def informations(
    shared: Conditioned, values: np.ndarray, permutations: int, seed: int
) -> list[tuple[Information, Information]]:
    """For each measure of values [networks, K]: (Jiang, PGDL).

    Jiang et al. (1912.02178): I(V_mu; V_g | U_S)/H(V_g | U_S), the smallest over |S| <= 2, cells weighted by their
    probability. PGDL (2012.07976): exactly |S| = 2, every cell alike, times 100.
    The null exchanges whole configurations of the measure that have as many networks, and as many where the measure is
    defined: p = (1 + how many are as large)/(1 + permutations) is then exact. Where none can change places: no null.
    """
    chosen = values[shared.rows]
    defined = np.add.reduceat(~np.isnan(chosen), shared.starts, axis=0, dtype=np.int64)
    alike: dict[bytes, list[int]] = {}
    for k, counts in enumerate(defined.T):
        alike.setdefault(counts.tobytes(), []).append(k)
    results: dict[int, tuple[Information, Information]] = {}
    for columns in alike.values():
        batches = _places(shared, defined[:, columns[0]], permutations, seed)
        note = NO_NULL if permutations and len(batches[0]) == 1 else ""
        for k in columns:
            results[k] = _information(shared, chosen[:, k], batches, note)
    return [results[k] for k in range(values.shape[1])]


def _information(
    shared: Conditioned, mu: np.ndarray, batches: Sequence[np.ndarray], note: str
) -> tuple[Information, Information]:
    signs, small = _signs(mu), np.array([len(axes) == 2 for axes in shared.cells.axes])
    found = [_evaluate(shared, signs, batch) for batch in batches]
    weighted, unweighted = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    return _result(shared, weighted, (), note), _result(shared, 100 * unweighted[small], None, note)


def _places(shared: Conditioned, defined: np.ndarray, permutations: int, seed: int) -> list[np.ndarray]:
    """Batches [R, pairs of networks] of places in the matrix [N, N] of a measure's signs, its own order first.

    A permutation of configurations only moves the signs of the differences. defined [C]: networks with the measure.
    """
    rng, own = np.random.default_rng(seed), np.arange(len(defined))
    classes = np.unique(np.column_stack([shared.sizes, defined]), axis=0, return_inverse=True)[1].ravel()
    movable = [members for members in (np.flatnonzero(classes == c) for c in np.unique(classes)) if len(members) > 1]
    orders = [own]
    for _ in range(permutations if movable else 0):
        order = own.copy()
        for members in movable:
            order[members] = rng.permutation(members)
        orders.append(order)
    moved = np.repeat(shared.starts[np.array(orders)] - shared.starts, shared.sizes, axis=1)
    rows = moved + np.arange(len(shared.rows))
    places = rows[:, shared.first] * len(shared.rows) + rows[:, shared.second]
    return [places[start : start + BATCH] for start in range(0, len(places), BATCH)]


def _pair(low: np.ndarray, high: np.ndarray, number: int) -> np.ndarray:
    return low * number - low * (low - 1) // 2 + high - low


def _cells(sets: Sequence[tuple[str, ...]], levels: Sequence[np.ndarray]) -> _Cells:
    """levels: for each set [C], the number of the combination of the axes' values."""
    cells, ahead, behind, starts, total = [], [], [], [], 0
    low, high = np.triu_indices(len(levels[0]))
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(level.tobytes(), len(numbers)) for level in levels])
    for level in (np.frombuffer(key, dtype=levels[0].dtype) for key in numbers):
        small, large = np.minimum(level[low], level[high]), np.maximum(level[low], level[high])
        cell = np.unique(small * (int(level.max(initial=0)) + 1) + large, return_inverse=True)[1]
        same, turned = small == large, level[low] > level[high]
        starts.append(total)
        cells.append(cell + total)
        ahead.append(same + 2 * (~same & ~turned))
        behind.append(same + 2 * turned)
        total += int(cell.max(initial=-1)) + 1
    place = (np.concatenate(cells), np.tile(np.arange(len(low)), len(numbers)))
    both = [csr_matrix((np.concatenate(part).astype(np.float32), place), (total, len(low))) for part in (ahead, behind)]
    for matrix in both:
        matrix.eliminate_zeros()
    return _Cells(tuple(sets), which, np.array(starts), *both)


def _signs(mu: np.ndarray) -> np.ndarray:
    """[N * N] 0, 3, 6 for the sign -1, 0, 1 of mu_i - mu_j, 9 where either is undefined."""
    a, b = mu[:, None], mu[None, :]
    found = 3 * (sign_of(a, b) + np.int8(1))
    found[np.isnan(a) | np.isnan(b)] = STATES
    return found.ravel()


def _evaluate(shared: Conditioned, signs: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalized information [sets, R], cells weighted by probability, and every cell alike.

    places [R, pairs of networks] in signs.
    """
    number = len(places)
    states = (signs.take(places) + shared.bases[:number]).ravel()
    counts = np.bincount(states, minlength=shared.pairs * BATCH * ALL_STATES).reshape(-1, BATCH, ALL_STATES)
    # Whole numbers below 2^24: exact in single precision.
    counts = counts[:, :number, :STATES].astype(np.float32)
    straight, turned = (part.reshape(shared.pairs, -1) for part in (counts, counts[:, :, ::-1]))
    cells = (shared.cells.ahead @ straight + shared.cells.behind @ turned).reshape(-1, STATES)
    margins = cells @ MARGINS
    terms = (_xlogx(np.column_stack([cells, margins])) @ TERMS).reshape(-1, number, 2)
    size = np.maximum(margins[:, -1:].reshape(-1, number, 1), 1).astype(float)
    starts, which = shared.cells.starts, shared.cells.which
    weighted, unweighted = (np.add.reduceat(part, starts)[which] for part in (terms, terms / size))
    return _ratio(weighted[:, :, 0], weighted[:, :, 1]), _ratio(unweighted[:, :, 0], unweighted[:, :, 1])


def _xlogx(counts: np.ndarray) -> np.ndarray:
    """n log n of whole numbers, by table."""
    numbers = np.arange(int(counts.max(initial=0)) + 1)
    return np.asarray((numbers * np.log(np.maximum(numbers, 1)))[counts.astype(np.int64)])


def _ratio(information: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """NaN where the target's sign does not vary within any cell."""
    return np.where(entropy > 1e-9, np.maximum(information, 0) / np.where(entropy > 1e-9, entropy, 1), np.nan)


def _result(shared: Conditioned, found: np.ndarray, given: tuple[str, ...] | None, note: str) -> Information:
    """found [sets, 1 + permutations]; given None: PGDL's, which does not name the axes."""
    usable = ~np.isnan(found).all(axis=0) if len(found) else np.zeros(0, dtype=bool)
    if not len(found):
        return Information(None, note="needs two axes")
    if not usable[0]:
        return Information(None, note="once the axes are known, the sign of the target's difference does not vary")
    smallest = np.nanmin(found[:, usable], axis=0)
    drawn = smallest[1:]
    if given is not None:
        given = shared.cells.axes[int(np.nanargmin(found[:, 0]))]
    if not len(drawn):
        return Information(float(smallest[0]), given=given or (), note=note)
    p = float((1 + np.sum(drawn >= smallest[0] - TIE)) / (1 + len(drawn)))
    null, high = float(np.median(drawn)), float(np.quantile(drawn, 0.95))
    return Information(float(smallest[0]), null, high, p, len(drawn), given or ())
