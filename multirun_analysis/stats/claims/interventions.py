"""What moving the distance does to the gap: arms, slopes, and the tests of O2 and O2'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.labels import OWN_GAP
from multirun_analysis.runs.arms import BALL, FREE, PULL, SHELL, arms, intervened
from multirun_analysis.stats.claims.arm_cells import Arm, Cell, arms_of, cells_of, design_of, reached
from multirun_analysis.stats.claims.arm_slopes import Found, Slopes, difference, ratio, slopes_of
from multirun_analysis.stats.claims.intervention_claims import RATIO, REACHED
from multirun_analysis.stats.claims.paper_claims import LEVEL, Claim
from multirun_analysis.stats.claims.results import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    CellTest,
    ClaimResult,
    count,
)
from multirun_analysis.stats.claims.seed_blocks import mean_of
from multirun_analysis.stats.intervals import holm


@dataclass(frozen=True)
class Interventions:
    """arms: all of them, cell by cell, free first. slopes: one of each cell. controls: metric -> its mean over the free
    networks: the distance, and that of other parameters with the same function."""

    arms: tuple[Arm, ...]
    slopes: tuple[Slopes, ...]
    controls: dict[str, float]

    @property
    def censored(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if arm.censored)


def interventions(frame: pd.DataFrame, params: Sequence[str]) -> Interventions | None:
    """All arms with their slopes. frame: networks that ended, those that missed the threshold too. None where no
    distance was moved."""
    if not intervened(frame) or OWN_GAP not in frame:
        return None
    design = design_of(frame, params)
    slopes = tuple(map(slopes_of, cells_of(frame, design, params)))
    free = frame[(arms(frame) == FREE) & reached(frame)]
    control = {"distance": names.DISTANCE} | {
        name: names.measure(name) for name in ("rescaled_distance", "permuted_distance")
    }
    known = {name: free[column].mean() for name, column in control.items() if column in free}
    controls = {name: float(value) for name, value in known.items() if math.isfinite(value)}
    return Interventions(tuple(arms_of(frame, design)), slopes, controls)


def test(claim: Claim, frame: pd.DataFrame, params: Sequence[str]) -> ClaimResult:
    """O2 or O2' on a frame as that of `interventions`."""
    design = design_of(frame, params)
    cells = cells_of(frame, design, params)
    raw = [(cell, ratio(cell, claim) if claim.effect == RATIO else difference(cell, claim)) for cell in cells]
    tested = [found for _, found in raw if not found.note]
    adjusted = zip(holm([f.p_for for f in tested]), holm([f.p_against for f in tested]), strict=True)
    p_values = {id(found): both for found, both in zip(tested, adjusted, strict=True)}
    results = tuple(_cell_test(cell, found, *p_values.get(id(found), (None, None))) for cell, found in raw)
    counts = count(results)
    verdict = (
        CONTRADICTED
        if counts[CONTRADICTED]
        else SUPPORTED
        if results and counts[SUPPORTED] == len(results)
        else UNDECIDED
    )
    effects = [found.effect for found in tested if found.effect is not None]
    result = ClaimResult(
        claim,
        verdict,
        claim.statement,
        cells=results,
        tested=len(tested),
        counts=counts,
        smallest=min(effects, default=None),
        largest=max(effects, default=None),
        note="" if tested else "; ".join(dict.fromkeys(found.note for _, found in raw)) or "there is no free network",
    )
    blocked = [found.blocked for found in tested if found.blocked is not None]
    if blocked and len(blocked) == len(tested):
        mean = mean_of(blocked)
        interval = mean.interval()
        result = replace(
            result,
            overall=claim.scale * mean.effect,
            overall_interval=None if interval is None else interval.scaled(claim.scale),
        )
    return replace(result, sentence=_sentence(result, [arm for arm in arms_of(frame, design) if arm.censored]))


def _cell_test(cell: Cell, found: Found, p_for: float | None, p_against: float | None) -> CellTest:
    verdict = UNTESTED
    if p_for is not None and p_against is not None:
        verdict = SUPPORTED if p_for <= LEVEL else CONTRADICTED if p_against <= LEVEL else UNDECIDED
    strengths = cell.strength[cell.pick((BALL, SHELL, PULL)) & ~np.isnan(cell.strength.astype(float))]
    return CellTest(
        OWN_GAP,
        cell.cell,
        found.effect,
        found.interval,
        None,
        p_for,
        p_against,
        verdict,
        found.seeds,
        0,
        tuple(float(level) for level in np.unique(strengths.astype(float))),
        note=found.note,
    )


def _sentence(result: ClaimResult, censored: Sequence[Arm]) -> str:
    claim = result.claim
    head = f"{claim.id} {result.verdict} ({result.tested} of {labels.count(len(result.cells), 'cell')} tested)"
    parts = [f"{head}: {result.note}." if not result.tested else f"{head}: {_counted(result)}."]
    if result.smallest is not None and result.largest is not None:
        low, high = (labels.value(claim.centre + side * claim.margin) for side in (-1, 1))
        mean = "" if result.overall is None else f"mean {labels.interval(result.overall, result.overall_interval)}, "
        span = labels.span((result.smallest, result.largest))
        parts.append(f"{labels.capital(claim.unit)}: {mean}range {span}; margins {low} to {high}.".replace("-", "−"))
    untested = [cell for cell in result.cells if cell.verdict == UNTESTED]
    if untested and result.tested:
        parts.append("Not tested: " + "; ".join(f"{labels.cell(cell.cell)}: {cell.note}" for cell in untested) + ".")
    if censored:
        parts.append(
            f"Censored: {labels.count(len(censored), 'arm')}, where under {REACHED:.0%} of the seeds reach the "
            f"threshold."
        )
    return " ".join(parts)


def _counted(result: ClaimResult) -> str:
    said = f"supported in {result.counts[SUPPORTED]}, contradicted in {result.counts[CONTRADICTED]}"
    return said + (f", open in {result.counts[UNDECIDED]}" if result.counts[UNDECIDED] else "")
