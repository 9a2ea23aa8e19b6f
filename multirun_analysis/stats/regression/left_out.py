"""Does a measure predict groups that were left out better than the best model of the hyperparameters alone?

Several models of the hyperparameters, linear and curved, on the target and on its logarithm; which of them is used for
a group is decided by the other groups alone. G groups, R configurations, K measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from multirun_analysis import labels
from multirun_analysis.stats.design import indicators
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.regression.ols import MINIMUM, Interval, constant, t_interval
from multirun_analysis.stats.regression.prediction import MINIMUM_GROUPS, standardized


@dataclass(frozen=True)
class LeftOut:
    """alone, both: 1 - SSE/sum(y - mean of the training groups)^2 of the hyperparameters, and with the measure.

    better: mean over groups of ln(squared error alone / with the measure), above 0 where the measure helps, and its t
    interval over groups; None: note says why.
    """

    alone: float | None
    both: float | None
    groups: int
    better: float | None = None
    interval: Interval | None = None
    direction: float = 0.0  # of the measure in these fits: 1 as predicted in all groups, -1 the other way in all
    note: str = ""

    @property
    def gain(self) -> float | None:
        """What the measure adds."""
        return None if self.alone is None or self.both is None else self.both - self.alone

    @property
    def verdict(self) -> str:
        """positive (better, as predicted) | negative (worse) | includes 0 | undecided."""
        if self.interval is None:
            return "undecided"
        if self.interval.high < 0:
            return "negative"
        better = self.interval.low > 0 and self.gain is not None and self.gain > 0
        return "positive" if better and self.direction > 0 else "includes 0"


def left_out(grid: Grid, y: np.ndarray, x: np.ndarray) -> list[LeftOut]:
    """y [R], x [R, K] finite. A group is one combination of the group axes."""
    groups = grid.groups
    number = len(np.unique(groups))
    if number < MINIMUM_GROUPS:
        note = f"{labels.count(number, 'group')}, but leaving one out needs at least {MINIMUM_GROUPS}"
        return [LeftOut(None, None, number, note=note)] * x.shape[1]
    if constant(y):
        return [LeftOut(None, None, number, note="the target does not vary")] * x.shape[1]
    models = _models(grid)
    alone = _errors(models, y, groups, None)
    total = np.array([float(np.sum((y[groups == g] - y[groups != g].mean()) ** 2)) for g in np.unique(groups)])
    return [_compared(alone, _errors(models, y, groups, column), total) for column in x.T]


def _models(grid: Grid) -> list[np.ndarray]:
    """Columns of the hyperparameters [R, columns]: linear, with squares, with products of two axes, with one column for
    each level of the axes within groups.
    """
    linear, _ = grid.hyperparameters
    numbers = [column - column.mean() for column in linear.T if len(np.unique(column)) > 2]
    squares = [column**2 for column in numbers]
    products = [a * b for a, b in combinations((column - column.mean() for column in linear.T), 2)]
    found = [linear]
    levels = [indicators(code) for code in map(grid.by, grid.design.within_axes) if code.max() > 1]
    found += [np.column_stack([linear, *more]) for more in (squares, products, squares + products, levels) if more]
    return found


def _errors(
    models: list[np.ndarray], y: np.ndarray, groups: np.ndarray, x: np.ndarray | None
) -> tuple[np.ndarray, float] | None:
    """[G] squared errors of each group's prediction by the model that the others prefer; None where there is none."""
    errors, signs = [], []
    for group in np.unique(groups):
        train = groups != group
        fits = [fit for z in models for fit in _fits(z, y, x, train)]
        if not fits:
            return None
        _, predicted, last = min(fits, key=lambda fit: fit[0])
        errors.append(float(np.sum((y[~train] - predicted(~train)) ** 2)))
        signs.append(np.sign(last))
    return np.array(errors), float(np.mean(signs))


# The corrected information criterion; rows -> predictions; the coefficient of the last column.
Fit = tuple[float, Callable[[np.ndarray], np.ndarray], float]


def _fits(z: np.ndarray, y: np.ndarray, x: np.ndarray | None, train: np.ndarray) -> list[Fit]:
    """Of the target as it is, and of its logarithm where that exists, with the measure on the same scale."""
    found = []
    plain = z if x is None else np.column_stack([z, x])
    if (fit := _fit(plain, y, train, 0.0)) is not None:
        found.append(fit)
    if (y[train] > 0).all():
        logs = z if x is None else np.column_stack([z, np.log(x) if (x > 0).all() else x])
        target = np.log(np.where(y > 0, y, 1))  # of the group left out nothing is used
        if (fit := _fit(logs, target, train, float(np.log(y[train]).sum()))) is not None:
            found.append((fit[0], _exponential(fit[1]), fit[2]))
    return found


def _exponential(predicted: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: np.exp(predicted(rows))


def _fit(columns: np.ndarray, y: np.ndarray, train: np.ndarray, jacobian: float) -> Fit | None:
    """Least squares with an intercept; columns that do not vary among the training rows take no part."""
    scaled, varies = standardized(columns, train)
    scaled = scaled[:, varies]
    rows, parameters = int(train.sum()), int(varies.sum()) + 2
    if rows - parameters - 1 < 1:
        return None
    mean = float(y[train].mean())
    weights = np.linalg.lstsq(scaled[train], y[train] - mean, rcond=1e-10)[0]
    square = float(np.sum((y[train] - mean - scaled[train] @ weights) ** 2))
    # Akaike's criterion with the correction of Hurvich & Tsai (1989), of the target itself on every scale.
    fitted = rows * math.log(max(square, 1e-300) / rows) + 2 * jacobian
    criterion = fitted + 2 * parameters * rows / (rows - parameters - 1)
    last = float(weights[-1]) if varies.size and varies[-1] else 0.0
    return criterion, lambda chosen: mean + scaled[chosen] @ weights, last


def _compared(
    bare: tuple[np.ndarray, float] | None, beside: tuple[np.ndarray, float] | None, total: np.ndarray
) -> LeftOut:
    number = len(total)
    if bare is None or beside is None or total.sum() <= 0:
        return LeftOut(None, None, number, note="too few configurations for so many hyperparameters")
    (alone, _), (both, direction) = bare, beside
    before, after = (1 - float(errors.sum() / total.sum()) for errors in (alone, both))
    tiny = 1e-12 * max(float(total.sum()), 1e-300)
    ratio = np.log((alone + tiny) / (both + tiny))
    note = "" if number >= MINIMUM else f"{number} groups, but an interval needs at least {MINIMUM}"
    se = float(ratio.std(ddof=1) / np.sqrt(number))
    interval = t_interval(float(ratio.mean()), se, number - 1, number) if number >= MINIMUM else None
    return LeftOut(before, after, number, float(ratio.mean()), interval, direction, note)
