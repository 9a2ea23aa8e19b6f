"""Which networks a claim is about: those trained as they are, their linearized twins, or both in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from multirun_analysis.runs.params import LINEARIZE
from multirun_analysis.stats.claims.paper_claims import CLAIMS, NETWORKS, PAIRS, TWINS, Claim
from multirun_analysis.stats.claims.twin_claims import TWIN_CLAIMS
from multirun_analysis.stats.design import Design


def linearized(frame: pd.DataFrame) -> pd.Series:
    """Which networks are linearized twins."""
    if LINEARIZE not in frame:
        return pd.Series(False, index=frame.index)
    return frame[LINEARIZE].astype("object").astype(str).str.lower() == "true"


def stated(frame: pd.DataFrame) -> tuple[Claim, ...]:
    """The claims that these networks can say something of: those on twins only where there are some."""
    return (*CLAIMS, *(TWIN_CLAIMS if linearized(frame).any() else ()))


def about(claim: Claim, frame: pd.DataFrame) -> pd.DataFrame:
    """The networks that a claim is tested on. In pairs a number says which is which: 0 for a twin, 1 for a network."""
    twins = linearized(frame)
    if claim.about == PAIRS:
        return frame.assign(**{LINEARIZE: 1.0 - twins.astype(float)}) if twins.any() else frame
    kept = {NETWORKS: ~twins, TWINS: twins}[claim.about]
    return frame if kept.all() else frame[kept].reset_index(drop=True)


def confounded(claim: Claim, design: Design) -> str:
    """Why networks and twins are no pairs, else "": they differ in something else too."""
    others = [axis for axis, first in design.aliases.items() if claim.about == PAIRS and first == LINEARIZE]
    return f"{others[0]} moves together with {LINEARIZE}, so that no network has a twin" if others else ""


def unpaired(claim: Claim, levels: Sequence[float]) -> str:
    """What a cell of pairs lacks, in words, where it has one kind alone; else ""."""
    if claim.about != PAIRS or len(levels) != 1:
        return ""
    return "only twins, no network to compare them with" if levels[0] == 0 else "no linearized twin"


def censored(claim: Claim, used: pd.DataFrame, ended: pd.DataFrame | None, axes: Sequence[str]) -> list[dict[str, Any]]:
    """Cells of twins, or of pairs, that no statistic sees, since too few of their networks met their stopping rule.

    used, ended: the networks that the claim is about, those that are used and all that ended.
    """
    if ended is None or claim.about == NETWORKS or not axes:
        return []
    there = set(used[list(axes)].astype(str).itertuples(index=False, name=None))
    cells = ended[list(axes)].drop_duplicates().sort_values(list(axes), kind="stable")
    named = zip(cells.to_dict("records"), cells.astype(str).itertuples(index=False, name=None), strict=True)
    return [_in_words(cell) for cell, key in named if key not in there]


def _in_words(cell: Mapping[Any, Any]) -> dict[str, Any]:
    """With the kind of a pair's network as its config has it."""
    kind = {LINEARIZE: "false" if cell[LINEARIZE] else "true"} if LINEARIZE in cell else {}
    return {**cell, **kind}
