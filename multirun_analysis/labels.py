"""Names of what an analysis computes, and how params, metrics and numbers are written for readers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from initdist import names

OVER_SQRT_N = names.measure("distance_over_sqrt_n")
NORM = "distance_from_origin"  # sqrt(measure/param_norm)
CAPACITY_RATIO = "capacity_origin_over_init"  # measure/capacity_origin_ball over measure/capacity_init_ball
OWN_GAP = "own_generalization_gap"  # under noise where the labels trained on are noisy, else the clean one
HISTORIES = (names.DISTANCE, names.TRAIN_LOSS)

SHORT = {
    "model.width": "width",
    "model.depth": "depth",
    "model.name": "model",
    "model.linearize": "linearized",
    "dataset.name": "dataset",
    "dataset.train_size": "n",
    "noise.level": "p",
    "noise.name": "noise",
    "loss.name": "loss",
    "optimizer.name": "optimizer",
    "optimizer.lr": "lr",
    "optimizer.batch_size": "batch",
    "constraint.name": "constraint",
}
LONG = {
    "model.width": "width (units per hidden layer)",
    "model.depth": "depth (hidden layers)",
    "dataset.train_size": "training samples n",
    "noise.level": "noise level p",
    names.DISTANCE: "distance from initialization (ℓ2)",
    OVER_SQRT_N: "distance from initialization / √n (ℓ2)",
    NORM: "distance from the origin (ℓ2)",
    names.measure("capacity_init_ball"): "capacity of the ball around the initialization",
    names.measure("capacity_origin_ball"): "capacity of the ball around the origin",
    CAPACITY_RATIO: "capacity of the ball around the origin over that around the initialization",
    names.GAP: "generalization gap",
    names.GAP_NOISY: "generalization gap under noise",
    names.TEST_ERROR: "test error",
    names.TRAIN_ERROR: "train error",
}
POINTS = "percentage points"
PERCENT = "%"
ROUNDING = 1e-13  # what is left of a difference of equal numbers


def short(axis: str) -> str:
    """An axis in a cell's label."""
    return SHORT.get(axis, axis)


def long(name: str) -> str:
    """An axis, metric or measure in words, for a figure's axis or a table's head."""
    return LONG.get(name, name.removeprefix(names.MEASURE))


def metric_scale(metric: str) -> float:
    """What a network's metric is multiplied by for readers: fractions are shown in percent."""
    return 1.0 if metric == names.DISTANCE else 100.0


def metric_head(metric: str) -> str:
    """A metric over its column, with its unit."""
    return plain(metric) + ("" if metric == names.DISTANCE else " (%)")


def metric_value(item: float, metric: str) -> str:
    """One of its values."""
    return fixed(item * metric_scale(metric))


def target_label(target: str) -> str:
    """The target with its unit."""
    return f"{long(target)} ({PERCENT if target == names.TEST_ERROR else POINTS})"


def term(name: str) -> str:
    """A control as stats.design names it, `log model.width` or `loss.name=squared_error`, in short words."""
    log, axis = ("log ", name[4:]) if name.startswith("log ") else ("", name)
    axis, equals, level = axis.partition("=")
    return f"{log}{short(axis)}{equals}{level}"


def value(item: Any) -> str:
    """An axis' value; a missing one is written as not set."""
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return "not set"
    if isinstance(item, bool | str):
        return str(item)
    number = float(item)
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e9 else f"{number:g}"


def cell(values: Mapping[str, Any]) -> str:
    """`n = 1280, p = 0.5`, or `all` for an empty mapping."""
    return ", ".join(f"{short(axis)} = {value(item)}" for axis, item in values.items()) or "all"


def number(item: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash where there is none."""
    if item is None or not math.isfinite(item):
        return "–"
    if abs(item) < ROUNDING:
        return "0"
    exponent = math.floor(math.log10(abs(item)))
    if exponent < -4 or exponent >= 6:
        return f"{item:.{digits - 1}e}".replace("-", "−")
    return f"{item:.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def chance(p: float | None) -> str:
    """A p value, two digits."""
    return f"< {ROUNDING:.0e}".replace("-", "−") if p is not None and p < ROUNDING else number(p, 2)


def fixed(item: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash where there is none."""
    if item is None or math.isnan(item):
        return "–"
    if math.isinf(item):
        return "∞" if item > 0 else "−∞"
    text = f"{item:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def plain(name: str) -> str:
    """A metric's or measure's name without underscores."""
    return name.removeprefix(names.MEASURE).replace("_", " ")


def count(items: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{items:,} {noun}" if items == 1 else f"{items:,} {noun}s"


def listing(items: Sequence[str], shown: int = 10) -> str:
    """`a, b, c and 4 more`."""
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more} more" if more > 0 else "")


def capital(text: str) -> str:
    """A text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def together(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


class Ends(Protocol):
    """Of an interval, whichever statistic it is of."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def interval(item: float | None, around: Ends | None, scale: float = 1.0) -> str:
    """`0.83 [0.55, 1.10]`, without brackets where there is no interval."""
    text = number(None if item is None else scale * item)
    return text if around is None else f"{text} [{number(scale * around.low)}, {number(scale * around.high)}]"


def span(values: Sequence[float]) -> str:
    """`0.28 to 0.31`, or the one value."""
    return " to ".join(dict.fromkeys(number(end) for end in (min(values), max(values))))
