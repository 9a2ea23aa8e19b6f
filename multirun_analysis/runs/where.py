"""Which networks a user asked for: `where.KEY=VALUE` by config keys, names of measures and of grouping axes."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from initdist import names
from initdist.errors import nearest
from multirun_analysis.errors import AnalysisError
from multirun_analysis.labels import value as shown
from multirun_analysis.runs.params import MISSING, is_seed, number_of
from multirun_analysis.runs.read import Networks
from multirun_analysis.runs.store import listing

if TYPE_CHECKING:
    import pandas as pd

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
COMPARISON = re.compile(r"\s*(<=|>=|<|>)\s*(\S+)\s*")


def select(networks: Networks, where: Mapping[str, Any]) -> Networks:
    """The networks that meet every condition. where: config key -> value, list of values, or `<0.5`, `>=64`, ...

    Raises AnalysisError for a key that no network has, or a condition that none meets.
    """
    frame = networks.frame
    keep = frame.index == frame.index
    for key, wanted in where.items():
        require_known(f"where.{key}", [key], networks.params, "config keys of these networks")
        met = _meets(frame[key], key, wanted)
        if not (keep & met).any():
            there = sorted(frame.loc[keep, key].drop_duplicates().tolist(), key=lambda v: (isinstance(v, str), v))
            known = listing([shown(item) for item in there])
            raise AnalysisError(f"where.{key}={_text(wanted)} matches no network: there is {known}")
        keep &= met
    if keep.all():
        return networks
    source = replace(networks.source, filtered=int((~keep).sum()))
    return replace(networks, frame=frame[keep].reset_index(drop=True), source=source)


def flat(where: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{model: {width: 64}}` -> `{model.width: 64}`."""
    found: dict[str, Any] = {}
    for key, item in where.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found


def require_known(key: str, given: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raises AnalysisError with the nearest and the known names if one given is not among them."""
    for name in given:
        if name not in known:
            raise AnalysisError(f"{key}: {name} is none of the {what}: {listing(list(known))}{nearest(name, known)}")


def measures_of(frame: pd.DataFrame) -> list[str]:
    """The measures that a league table can rank: the distance, and every total `measure/<name>`."""
    totals = [str(column).removeprefix(names.MEASURE) for column in frame if _is_total(column)]
    return [*([names.DISTANCE] if names.DISTANCE in frame else []), *sorted(totals)]


def axes_of(networks: Networks) -> list[str]:
    """The config keys that vary, seeds excepted."""
    frame = networks.frame
    return [name for name in networks.params if not is_seed(name) and frame[name].nunique(dropna=False) > 1]


def _is_total(column: object) -> bool:
    return isinstance(column, str) and column.startswith(names.MEASURE) and column.count("/") == 1


def _meets(column: pd.Series, key: str, wanted: Any) -> pd.Series:
    if isinstance(wanted, str) and (found := COMPARISON.fullmatch(wanted)):
        limit = number_of(found[2])
        if limit is None or math.isnan(limit):
            raise AnalysisError(f"where.{key}={wanted}: {found[1]} must be followed by a number, got {found[2]!r}")
        compare = COMPARISONS[found[1]]
        return column.map(lambda item: number_of(str(item)) is not None and compare(float(item), limit)).astype(bool)
    allowed = {_canonical(item) for item in (wanted if isinstance(wanted, list | tuple) else [wanted])}
    return column.map(_canonical, na_action=None).isin(allowed)


def _canonical(item: Any) -> str:
    """Numbers, truth values and texts such that 64, 64.0 and '64' are the same."""
    if item is None or (isinstance(item, float) and math.isnan(item)) or str(item) in MISSING:
        return ""
    if isinstance(item, bool):
        return str(item).lower()
    number = number_of(str(item))
    return (
        str(item).lower()
        if number is None and str(item) in ("True", "False")
        else str(item if number is None else number)
    )


def _text(wanted: Any) -> str:
    if isinstance(wanted, list | tuple):
        return f"[{','.join(map(shown, wanted))}]"
    return shown(wanted) if wanted is None or isinstance(wanted, bool | int | float) else str(wanted)
