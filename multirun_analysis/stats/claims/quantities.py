"""Which quantities a claim is tested on, and where they are defined."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import CAPACITY_RATIO, NORM, OWN_GAP
from multirun_analysis.runs.params import NOISE_LEVEL
from multirun_analysis.runs.read import MEASURE_OPTIONS
from multirun_analysis.stats.catalogue import Entry
from multirun_analysis.stats.claims.paper_claims import BOUNDS, Claim
from multirun_analysis.stats.claims.seed_effects import CellEffect
from multirun_analysis.stats.design import Design
from multirun_analysis.stats.league.definitions import single

PARAM_NORM = names.measure("param_norm")
INIT_BALL, ORIGIN_BALL = names.measure("capacity_init_ball"), names.measure("capacity_origin_ball")
# D_k, u_j - z_j and w - w_0 stand for the way from the initialization in the catalogue's formulas.
DISTANCES = re.compile(r"\bD_\w|\bu_j - z_j\b|\b(w|theta) - \1_0\b")


def with_norm(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the distance from the origin, of the networks whose norm has the definition that counts."""
    if NORM in frame or PARAM_NORM not in frame:
        return frame
    return frame.assign(**{NORM: np.sqrt(single(frame.filter([PARAM_NORM, MEASURE_OPTIONS]))[PARAM_NORM])})


def with_own_gap(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each network's own generalization gap: under noise where its labels are noisy, else the clean one.

    Without the columns that it takes there is none.
    """
    if names.GAP not in frame:
        return frame
    own = frame[names.GAP]
    if names.GAP_NOISY in frame and NOISE_LEVEL in frame:
        own = frame[names.GAP_NOISY].where(frame[NOISE_LEVEL] > 0).fillna(own)
    return frame.assign(**{OWN_GAP: own})


def with_capacity_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the capacity of the ball around the origin over that of the ball around the initialization: its
    exponent is the difference of theirs."""
    if INIT_BALL not in frame or ORIGIN_BALL not in frame:
        return frame
    positive = frame[INIT_BALL].where(frame[INIT_BALL] > 0)
    return frame.assign(**{CAPACITY_RATIO: frame[ORIGIN_BALL] / positive})


def quantities(claim: Claim, frame: pd.DataFrame, catalogue: Mapping[str, Entry]) -> list[str]:
    """The columns that a claim is tested on: its quantity, or the logged bounds with a distance in their formula."""
    if claim.quantity != BOUNDS:
        return [claim.quantity] if claim.quantity in frame else []
    return [
        entry.column
        for entry in catalogue.values()
        if entry.group == BOUNDS and entry.column in frame and holds_distance(entry, catalogue)
    ]


def holds_distance(entry: Entry, catalogue: Mapping[str, Entry]) -> bool:
    """Whether a bound's formula contains a distance from initialization; a bound's full value has that of its term."""
    term = catalogue.get(entry.name.removesuffix("_full"), entry)
    return any(DISTANCES.search(item.formula) for item in (entry, term))


def missing(claim: Claim, frame: pd.DataFrame, design: Design, quantities: Sequence[str]) -> str:
    """Why a claim cannot be tested at all, else ""."""
    if claim.axis not in design.axes:
        first = design.aliases.get(claim.axis)
        return f"{claim.axis} moves together with {first}" if first else f"{claim.axis} does not vary"
    if not quantities:
        if claim.quantity == BOUNDS:
            return "no bound with a distance from initialization in its formula is logged"
        return f"{claim.quantity} is not logged"
    if claim.while_falling and claim.while_falling not in frame:
        return f"{names.GAP} is not logged"
    if claim.while_growing and claim.while_growing not in frame:
        return f"{ORIGIN_BALL} is not logged"
    return ""


def defined(frame: pd.DataFrame, quantity: str, effects: list[CellEffect], claim: Claim) -> list[CellEffect]:
    """Of many bounds only those cells where each is defined: one for depth 1 says nothing about depth 2."""
    if claim.quantity != BOUNDS:
        return effects
    others = list(effects[0].cell) if effects else []
    logged = frame[quantity].notna()
    there = (
        logged.groupby([frame[name] for name in others], dropna=False, sort=True).any() if others else [logged.any()]
    )
    return [item for item, known in zip(effects, there, strict=True) if known]
