"""The ladder's last rung, of the distance: whether the gap moves when it is moved by intervention."""

from __future__ import annotations

from dataclasses import replace

from initdist import names
from multirun_analysis import labels
from multirun_analysis.stats.claims.interventions import Interventions
from multirun_analysis.stats.intervals import holm
from multirun_analysis.stats.league.ladder import LEVEL
from multirun_analysis.stats.league.league_types import (
    CONTRADICTED,
    MOVES,
    SUPPORTED,
    UNDECIDED,
    LeagueTable,
    Rung,
)

POINTS = 100  # from fractions


def with_moves(table: LeagueTable | None, found: Interventions | None) -> LeagueTable | None:
    """The table with that rung, where the target is a gap and the distance was moved."""
    if table is None or found is None or table.target not in (names.GAP, names.GAP_NOISY):
        return table
    last = rung(found)

    def judged(rungs: tuple[Rung, ...]) -> tuple[Rung, ...]:
        return tuple(last if one.name == MOVES else one for one in rungs)

    rows = (replace(row, rungs=judged(row.rungs)) if row.measure == names.DISTANCE else row for row in table.rows)
    verdicts = (
        replace(one, rungs=judged(one.rungs)) if one.measure == names.DISTANCE else one for one in table.verdicts
    )
    return replace(table, rows=tuple(rows), verdicts=tuple(verdicts))


def rung(found: Interventions) -> Rung:
    """Supported: the gap's slope over the arms is positive in every cell, after Holm's correction over cells."""
    known = [(one.intervened, one.intervened_interval) for one in found.slopes]
    slopes = [(slope, interval) for slope, interval in known if slope is not None and interval is not None]
    if not slopes:
        return Rung(MOVES, UNDECIDED, "the slope over the arms cannot be tested in any cell")
    adjusted = holm([interval.p for _, interval in slopes])
    rising = [p for (slope, _), p in zip(slopes, adjusted, strict=True) if slope > 0 and p <= LEVEL]
    falling = [p for (slope, _), p in zip(slopes, adjusted, strict=True) if slope < 0 and p <= LEVEL]
    span = labels.span([POINTS * slope for slope, _ in slopes])
    words = f"the slope of the gap by intervention is {span} {labels.POINTS} per unit of distance, "
    words += f"shown to be positive in {len(rising)} of {labels.count(len(found.slopes), 'cell')}"
    if falling:
        return Rung(MOVES, CONTRADICTED, f"{words} and negative in {len(falling)}", min(falling))
    whole = len(rising) == len(found.slopes)
    return Rung(MOVES, SUPPORTED if whole else UNDECIDED, words, max(adjusted))
