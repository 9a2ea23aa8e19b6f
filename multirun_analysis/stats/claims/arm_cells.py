"""The arms of an intervention: which networks they are, cell by cell, and which of them are censored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import OWN_GAP
from multirun_analysis.runs.arms import AXES, DECAY, FREE, OF_FREE, OFFSET, RADIUS, arms
from multirun_analysis.runs.read import STOP_REASON
from multirun_analysis.stats.claims.intervention_claims import REACHED
from multirun_analysis.stats.design import Design, codes, find_design, find_seeds
from multirun_analysis.stats.regression.ols import demean

SAME = 1e-6  # relative: networks whose distances are nearer than that are one, as where a ball does not bind


@dataclass(frozen=True)
class Arm:
    """One arm at one strength in one cell. strength: a multiple of the free distance, a radius, a decay or an offset.

    seeds: networks that ended; reached: those at the loss threshold. distance, gap: their means, None where there are
    none. censored: fewer than 80% reached it, so the arm counts for nothing.
    """

    cell: dict[str, Any]
    arm: str
    strength: float | None
    unit: str
    seeds: int
    reached: int
    distance: float | None
    gap: float | None
    censored: bool


@dataclass(frozen=True)
class Cell:
    """A configuration of the free networks: arrays over its networks at the threshold, but for censored arms."""

    cell: dict[str, Any]
    arm: np.ndarray
    strength: np.ndarray
    seed: np.ndarray
    x: np.ndarray
    y: np.ndarray
    group: Group

    def pick(self, names: Sequence[str]) -> np.ndarray:
        return np.isin(self.arm, names)


@dataclass(frozen=True)
class Group:
    """The free networks of a group: their seeds, configurations, distances and gaps."""

    seed: np.ndarray
    configuration: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def slope(self, seeds: np.ndarray) -> float:
        """Of configuration means over these seeds; NaN where the distance does not differ."""
        use = np.isin(self.seed, seeds)
        if not use.any():
            return math.nan
        number = np.unique(self.configuration[use], return_inverse=True)[1]
        x, y = (np.bincount(number, weights=v[use]) / np.bincount(number) for v in (self.x, self.y))
        return slope_of(x, y, np.zeros(len(x), dtype=np.int64))


def slope_of(x: np.ndarray, y: np.ndarray, code: np.ndarray) -> float:
    """y on x [rows] with an intercept for each code, numbered from 0; NaN where x does not vary within any."""
    own, other = demean(x, code), demean(y, code)
    square = float(own @ own)
    return float(own @ other) / square if square > (SAME * float(np.abs(x).max(initial=0.0))) ** 2 else math.nan


def design_of(frame: pd.DataFrame, params: Sequence[str]) -> Design:
    """That of the networks apart from what was done to their distance."""
    return find_design(frame, [name for name in params if name not in AXES])


def reached(frame: pd.DataFrame) -> pd.Series:
    """Networks at the loss threshold, with a gap and a distance."""
    there = np.isfinite(frame[[names.DISTANCE, OWN_GAP]].to_numpy(dtype=float)).all(axis=1)
    return pd.Series(there, index=frame.index) & (frame[STOP_REASON] == names.STOP_THRESHOLD)


def _strengths(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How strong each network's arm is, and in which unit."""
    strength, unit = pd.Series(np.nan, index=frame.index), pd.Series("", index=frame.index)
    units = {OF_FREE: "x free", RADIUS: "radius", DECAY: "decay", OFFSET: "offset"}
    for column, words in units.items():
        if column in frame:
            values = frame[column].astype(float)
            use = strength.isna() & values.notna() & ((column != OFFSET) | (values > 0))
            strength, unit = strength.where(~use, values), unit.where(~use, words)
    return strength, unit


def arms_of(frame: pd.DataFrame, design: Design) -> Iterator[Arm]:
    """All arms, cell by cell, the free one first."""
    axes = list(design.axes)
    strength, unit = _strengths(frame)
    found = frame.assign(_arm=arms(frame), _strength=strength, _unit=unit, reached=reached(frame))
    found = found.assign(_first=found["_arm"] != FREE)
    keys = [*axes, "_first", "_arm", "_unit", "_strength"]
    for _, rows in found.groupby(keys, dropna=False, sort=True):
        one, there = rows.iloc[0], rows[rows["reached"]]
        known = len(there) > 0
        yield Arm(
            {axis: one[axis] for axis in axes},
            str(one["_arm"]),
            None if math.isnan(one["_strength"]) else float(one["_strength"]),
            str(one["_unit"]),
            len(rows),
            len(there),
            float(there[names.DISTANCE].mean()) if known else None,
            float(there[OWN_GAP].mean()) if known else None,
            len(there) < REACHED * len(rows),
        )


def cells_of(frame: pd.DataFrame, design: Design, params: Sequence[str]) -> list[Cell]:
    """The cells in which a distance was moved. An arm is censored by the share of its seeds, in its cell."""
    axes = list(design.axes)
    strength, unit = _strengths(frame)
    found = frame.assign(_arm=arms(frame), _strength=strength, _unit=unit, reached=reached(frame))
    found["_seed"], found["_group"] = codes(frame, find_seeds(frame, params)), codes(frame, design.group_axes)
    share = (
        found["reached"].astype(float).groupby(codes(found, [*axes, "_arm", "_unit", "_strength"])).transform("mean")
    )
    found["_used"] = found["reached"] & (share >= REACHED)
    parts = [rows for _, rows in found.groupby(axes, dropna=False, sort=True)] if axes else [found]
    cells = []
    for rows in parts:
        if (rows["_arm"] == FREE).all():
            continue
        free = found[found["_used"] & (found["_arm"] == FREE) & (found["_group"] == rows["_group"].iloc[0])]
        group = Group(free["_seed"].to_numpy(), codes(free, axes), *_distance_and_gap(free))
        used = rows[rows["_used"]]
        arm, strengths, seed = (used[name].to_numpy() for name in ("_arm", "_strength", "_seed"))
        cell = {axis: rows[axis].iloc[0] for axis in axes}
        cells.append(Cell(cell, arm, strengths, seed, *_distance_and_gap(used), group))
    return cells


def _distance_and_gap(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows[names.DISTANCE].to_numpy(dtype=float), rows[OWN_GAP].to_numpy(dtype=float)
