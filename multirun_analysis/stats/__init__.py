"""Pure functions: a frame of networks -> results. No store, no files, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import NORM, OVER_SQRT_N
from multirun_analysis.runs.arms import observed
from multirun_analysis.runs.params import TRAIN_SIZE, WIDTH
from multirun_analysis.stats.claims.interventions import Interventions, interventions
from multirun_analysis.stats.claims.quantities import with_norm, with_own_gap
from multirun_analysis.stats.claims.results import ClaimResult
from multirun_analysis.stats.claims.scaling import Scaling, scalings
from multirun_analysis.stats.claims.tests import claims
from multirun_analysis.stats.design import Design, find_design, find_seeds
from multirun_analysis.stats.grid import configurations
from multirun_analysis.stats.league.league_types import LeagueTable
from multirun_analysis.stats.league.moves import with_moves
from multirun_analysis.stats.league.table import league_table
from multirun_analysis.stats.regression.association import Association, associate
from multirun_analysis.stats.regression.headline import Headline

MEASURES = (names.DISTANCE, OVER_SQRT_N)
DERIVED = ("verdict", "gain", "reached", "failed", "sentence", "one_size")  # properties of results that belong to them


@dataclass(frozen=True)
class Results:
    """means: one row a configuration. sensitivity: the associations with networks that missed the threshold."""

    target: str
    design: Design
    means: pd.DataFrame
    associations: tuple[Association, ...]
    scalings: tuple[Scaling, ...]
    sensitivity: tuple[Association, ...] = ()
    unconverged: int = 0  # networks that the sensitivity adds
    league: LeagueTable | None = None
    claims: tuple[ClaimResult, ...] = ()
    league_sensitivity: LeagueTable | None = None  # with the unconverged, point estimates only
    claims_sensitivity: tuple[ClaimResult, ...] = ()
    interventions: Interventions | None = None  # where the distance of networks was moved

    @property
    def one_size(self) -> bool:
        """Whether all networks have as many training samples."""
        return TRAIN_SIZE not in (*self.design.axes, *self.design.aliases)

    @property
    def judged(self) -> Association:
        """The one that the report speaks of: on the distance, which is taken over √n where n varies."""
        return self.associations[0 if self.one_size else 1]

    @property
    def headline(self) -> Headline:
        """Its slope within groups."""
        return self.judged.headline


def analyze(
    frame: pd.DataFrame,
    params: Sequence[str],
    target: str,
    including_unconverged: pd.DataFrame | None = None,
    attempted: pd.DataFrame | None = None,
    *,
    measures: Sequence[str] | None = None,
    group_axes: Sequence[str] | None = None,
) -> Results:
    """All statistics. frame: the networks used, one a row; including_unconverged: the same and those not converged;
    attempted: these and those that diverged. What is observed rests on the networks that were left alone.

    measures: those to rank, default all. group_axes: what comparisons hold fixed, default data, noise and loss.
    """
    every, moved = frame, frame if attempted is None else attempted
    frame = observed(every)
    rows = derived(frame)
    design, seeds = find_design(rows, params, group_axes), find_seeds(rows, params)
    quantities = [(axis, name) for axis in (WIDTH, TRAIN_SIZE) for name in (names.DISTANCE, NORM)]
    table = partial(league_table, target=target, params=params, measures=measures, group_axes=group_axes)
    arms = interventions(with_own_gap(moved), params)
    found = Results(
        target,
        design,
        configurations(rows, design),
        _associations(rows, design, target, seeds),
        tuple(result for axis, name in quantities for result in scalings(rows, design, axis, name, seeds)),
        league=with_moves(table(rows), arms),
        claims=claims(derived(every), params=params, ended=including_unconverged, attempted=moved),
        interventions=arms,
    )
    if including_unconverged is None or len(wide := observed(including_unconverged)) <= len(frame):
        return found
    wide = derived(wide)
    return replace(
        found,
        sensitivity=_associations(wide, find_design(wide, params, group_axes), target, seeds),
        unconverged=len(wide) - len(rows),
        league_sensitivity=with_moves(table(wide, resamples=0, permutations=0), arms),
        claims_sensitivity=claims(wide, params=params),
    )


def derived(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the quantities that follow from recorded ones by definition."""
    frame = frame.assign(**{OVER_SQRT_N: frame[names.DISTANCE] / np.sqrt(frame[TRAIN_SIZE])})
    return with_norm(frame)


def plain(value: Any) -> Any:
    """A result as JSON has it: dataclasses with their verdicts as objects, missing and infinite numbers as null."""
    if is_dataclass(value) and not isinstance(value, type):
        items = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        extra = {name: plain(getattr(value, name)) for name in DERIVED if hasattr(value, name)}
        return items | extra
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return None if value is None else str(value)


def _associations(frame: pd.DataFrame, design: Design, target: str, seeds: Sequence[str]) -> tuple[Association, ...]:
    return tuple(associate(frame, design, target, measure, seeds) for measure in MEASURES)
