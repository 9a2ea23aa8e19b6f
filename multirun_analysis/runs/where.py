"""Which networks a user asked for: `where.KEY=VALUE` by config keys, names of measures and of grouping axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from initdist.cli.conditions import meets
from initdist.errors import ConfigError, nearest
from multirun_analysis.errors import AnalysisError
from multirun_analysis.labels import listing
from multirun_analysis.labels import value as shown
from multirun_analysis.runs.read import Networks

if TYPE_CHECKING:
    import pandas as pd


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


def _meets(column: pd.Series, key: str, wanted: Any) -> pd.Series:
    try:
        return column.map(lambda item: meets(item, wanted), na_action=None).astype(bool)
    except ConfigError as error:
        raise AnalysisError(f"where.{key}={error}") from None


def _text(wanted: Any) -> str:
    if isinstance(wanted, list | tuple):
        return f"[{','.join(map(shown, wanted))}]"
    return shown(wanted) if wanted is None or isinstance(wanted, bool | int | float) else str(wanted)
