"""What a plain t interval of the mean slope leaves out, tested: do slopes differ, do levels of an axis share misfit?

Rows are configurations; x is free of its groups' means and on their scale. None: the rows allow no such test.
"""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from multirun_analysis.stats.design import indicators
from multirun_analysis.stats.regression.ols import TINY, demean, independent


def slopes_differ(y: np.ndarray, x: np.ndarray, groups: np.ndarray, own: np.ndarray) -> float | None:
    """p value of equal slopes in all groups: the larger of an F test's and of a Wald test's by HC3.

    The second holds where the noise differs between configurations.
    """
    plain = _explains(y, groups, x[:, None], by_group(x, groups))
    size, spread = np.bincount(groups), np.bincount(groups, weights=x**2)
    free = 1 - 1 / size[groups] - x**2 / spread[groups]
    df = len(y) - 2 * len(size)
    if plain is None or df < 1 or (free <= TINY).any():
        return plain
    residual = (demean(y, groups) - own[groups] * x) / free
    variance = np.bincount(groups, weights=(x * residual) ** 2) / spread**2
    if (variance <= 0).any():
        return plain
    mean = np.sum(own / variance) / np.sum(1 / variance)
    wald = np.sum((own - mean) ** 2 / variance) / (len(size) - 1)
    return max(plain, float(fdtrc(len(size) - 1, df, wald)))


def slopes_differ_by_level(
    y: np.ndarray, x: np.ndarray, groups: np.ndarray, levels: np.ndarray, cells: tuple[np.ndarray, np.ndarray]
) -> float | None:
    """p value that slopes do not differ by level [rows]: they must by the spread of configurations, and of cells.

    cells: each cell's mean slope and its level.
    """
    found = _between(*cells), _explains(y, groups, x[:, None], by_group(x, levels))
    return None if found[0] is None or found[1] is None else max(found[0], found[1])


def misfit_shared(y: np.ndarray, x: np.ndarray, groups: np.ndarray, levels: np.ndarray) -> float | None:
    """p value that what lies off the groups' lines has nothing in common at a level [rows]."""
    return _explains(y, groups, by_group(x, groups), indicators(levels))


def by_group(x: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[rows, G]: the measure in a column of its own for each group."""
    return np.where(groups[:, None] == np.arange(groups.max() + 1), x[:, None], 0.0)


def _between(values: np.ndarray, levels: np.ndarray) -> float | None:
    """p value of equal means at all levels, by the spread within levels; None where no level holds two."""
    number = np.bincount(levels)
    df = len(values) - len(number)
    if len(number) < 2 or df < 1:
        return None
    means = np.bincount(levels, weights=values) / number
    between, within = np.sum((means[levels] - values.mean()) ** 2), np.sum((values - means[levels]) ** 2)
    if within <= TINY * np.sum(values**2):
        return float(between <= TINY * np.sum(values**2))
    return float(fdtrc(len(number) - 1, df, between / (len(number) - 1) / (within / df)))


def _explains(y: np.ndarray, groups: np.ndarray, before: np.ndarray, added: np.ndarray) -> float | None:
    """p value of an F test: do columns `added` explain y beside an intercept for each group and columns `before`?

    None where no column is new, or no degree of freedom is left.
    """
    y = demean(y, groups)
    small = independent(demean(before, groups))
    large = independent(np.column_stack([demean(before, groups), demean(added, groups)]))
    more = large.shape[1] - small.shape[1]
    df = len(y) - (int(groups.max()) + 1) - large.shape[1]
    rest, left = (float(np.sum((y - basis @ (basis.T @ y)) ** 2)) for basis in (small, large))
    if more < 1 or df < 1:
        return None
    if left <= TINY * float(y @ y):
        return 0.0 if rest > TINY * float(y @ y) else 1.0
    return float(fdtrc(more, df, (rest - left) / more / (left / df)))
