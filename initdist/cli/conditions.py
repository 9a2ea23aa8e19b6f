"""The conditions of `where.KEY=VALUE`: a value, one of several, or a limit."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from initdist.errors import ConfigError

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
COMPARISON = re.compile(r"\s*(<=|>=|<|>)\s*(\S+)\s*")
MISSING = {"None", "null", ""}  # how a param is written that has no value


def meets(text: Any, wanted: Any) -> bool:
    """Whether a param is the wanted value, one of a list of them, or on the right side of a limit: `<0.5`, `>=64`.

    Numbers, truth values and texts of the same value are the same: 64, 64.0 and '64'. Raises ConfigError for a limit
    that is no number.
    """
    if isinstance(wanted, list | tuple):
        return any(meets(text, value) for value in wanted)
    if isinstance(wanted, str) and (found := COMPARISON.fullmatch(wanted)):
        limit, number = number_of(found[2]), number_of(text)
        if limit is None or math.isnan(limit):
            raise ConfigError(f"{wanted}: {found[1]} must be followed by a number, got {found[2]!r}")
        return number is not None and COMPARISONS[found[1]](number, limit)
    return _canonical(text) == _canonical(wanted)


def number_of(text: Any) -> float | None:
    """The number that a text is, or None."""
    try:
        return float(str(text))
    except ValueError:
        return None


def _canonical(item: Any) -> str:
    if item is None or str(item) in MISSING or (isinstance(item, float) and math.isnan(item)):
        return ""
    if str(item) in ("True", "False"):
        return str(item).lower()
    number = number_of(item)
    return str(item) if number is None else str(number)
