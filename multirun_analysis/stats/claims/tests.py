"""Pre-stated claims against a grid: supported, contradicted or undecided, with numbers. Estimand (a), this grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.labels import NORM
from multirun_analysis.runs.arms import intervened, observed
from multirun_analysis.runs.params import params_of
from multirun_analysis.stats.catalogue import Entry, read_catalogue
from multirun_analysis.stats.claims import interventions, kinds
from multirun_analysis.stats.claims.intervention_claims import INTERVENTION_CLAIMS
from multirun_analysis.stats.claims.paper_claims import (
    ABOVE,
    BELOW,
    BOUNDS,
    ENDS,
    LEVEL,
    LOG_LOG,
    WITHIN,
    Claim,
)
from multirun_analysis.stats.claims.quantities import (
    defined,
    missing,
    quantities,
    with_capacity_ratio,
    with_norm,
    with_own_gap,
)
from multirun_analysis.stats.claims.results import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    VERDICTS,
    BoundResult,
    CellTest,
    ClaimResult,
    count,
)
from multirun_analysis.stats.claims.seed_blocks import Blocked, mean_of
from multirun_analysis.stats.claims.seed_effects import SLOPE, CellEffect, Turn, cell_effects
from multirun_analysis.stats.claims.words import sentence, statement, together
from multirun_analysis.stats.closed_form import initial_norm
from multirun_analysis.stats.design import Design, find_design, find_seeds
from multirun_analysis.stats.intervals import holm
from multirun_analysis.stats.league.definitions import single
from multirun_analysis.stats.regression.ols import Interval

PER_DOUBLING = 100 * math.log(2)  # from a fraction per unit of ln n to percentage points per doubling of n


@dataclass(frozen=True)
class _Tested:
    """A cell before Holm. p_for, p_against: None where it cannot be tested. second: of what must fall or grow."""

    effect: CellEffect
    quantity: str
    p_for: float | None = None
    p_against: float | None = None
    second: Blocked | None = None
    note: str = ""


@dataclass(frozen=True)
class _View:
    """The networks that a claim is about. censored: cells that have none, since too few met their stopping rule."""

    frame: pd.DataFrame
    design: Design
    seeds: Sequence[str]
    censored: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Raw:
    """A claim's cells before Holm's correction. why: there are none that can be tested."""

    cells: Sequence[_Tested] = ()
    strays: tuple[dict[str, Any], ...] = ()
    why: str = ""


def claims(
    frame: pd.DataFrame,
    *,
    params: Sequence[str] | None = None,
    catalogue: Mapping[str, Entry] | None = None,
    stated: Sequence[Claim] | None = None,
    ended: pd.DataFrame | None = None,
    attempted: pd.DataFrame | None = None,
) -> tuple[ClaimResult, ...]:
    """Tests the pre-stated claims on `frame` (one row a network, as load_runs returns it), in their order.

    A claim whose axis does not vary, or whose quantity was not logged, is undecided and says so. The paper's claims,
    and those on twins, are about networks that were left alone. stated: default all that these networks can say
    something of. ended: the same networks and those that met no stopping rule, so that what is censored is known;
    attempted: these and those that diverged, by which radii are censored.
    """
    params = params_of(frame) if params is None else params
    catalogue = read_catalogue() if catalogue is None else catalogue
    moved = with_own_gap(frame if attempted is None else attempted)
    frame, ended = observed(frame), None if ended is None else observed(ended)
    if stated is None:
        stated = (*kinds.stated(frame if ended is None else ended), *INTERVENTION_CLAIMS)
    frame = with_capacity_ratio(with_own_gap(with_norm(single(frame))))
    views: dict[str, _View] = {}
    results = []
    for claim in stated:
        if claim in INTERVENTION_CLAIMS:
            results += [interventions.test(claim, moved, params)] if intervened(moved) else []
            continue
        if claim.about not in views:
            views[claim.about] = _view(claim, frame, params, ended)
        results.append(_test(claim, views[claim.about], catalogue))
    return tuple(results)


def _view(claim: Claim, frame: pd.DataFrame, params: Sequence[str], ended: pd.DataFrame | None) -> _View:
    own, more = kinds.about(claim, frame), None if ended is None else kinds.about(claim, ended)
    axes = () if more is None else find_design(more, params).axes
    censored = tuple(kinds.censored(claim, own, more, axes))
    return _View(own, find_design(own, params), find_seeds(own, params), censored)


def _test(claim: Claim, view: _View, catalogue: Mapping[str, Entry]) -> ClaimResult:
    """Holm's correction is over the cells of all parts together."""
    parts = claim.parts or (claim,)
    raws = [_raw(part, view, catalogue) for part in parts]
    adjusted = _adjusted([cell for raw in raws for cell in raw.cells])
    results = tuple(
        _undecided(part, view.frame, raw.why) if raw.why else _result(part, view, raw, adjusted)
        for part, raw in zip(parts, raws, strict=True)
    )
    return _together(claim, results) if claim.parts else results[0]


def _together(claim: Claim, parts: tuple[ClaimResult, ...]) -> ClaimResult:
    found = {part.verdict for part in parts}
    verdict = CONTRADICTED if CONTRADICTED in found else SUPPORTED if found == {SUPPORTED} else UNDECIDED
    counts = {name: sum(part.counts.get(name, 0) for part in parts) for name in VERDICTS}
    tested = sum(part.tested for part in parts)
    result = ClaimResult(claim, verdict, claim.statement, tested=tested, counts=counts, parts=parts)
    return replace(result, sentence=together(result))


def _raw(claim: Claim, view: _View, catalogue: Mapping[str, Entry]) -> _Raw:
    frame, design, seeds = view.frame, view.design, view.seeds
    if frame.empty:
        return _Raw(why=f"there are no {claim.about}")
    tried = quantities(claim, frame, catalogue)
    if why := missing(claim, frame, design, tried) or kinds.confounded(claim, design):
        return _Raw(why=why)
    seconds = {}
    if second := claim.while_falling or claim.while_growing:
        kind = SLOPE if claim.while_falling else LOG_LOG
        seconds = {_key(item): item.found for item in cell_effects(frame, design, claim.axis, second, seeds, kind)}
    effects = [
        (name, item)
        for name in tried
        for item in defined(frame, name, cell_effects(frame, design, claim.axis, name, seeds, claim.effect), claim)
    ]
    strays = tuple(item.cell for name, item in effects if item.stray and name == tried[0])
    raw = [_tested(claim, name, item, seconds.get(_key(item))) for name, item in effects if not item.stray]
    if not any(item.effect.found for item in raw):
        reasons = list(dict.fromkeys(item.note for item in raw))
        return _Raw(why=f"no cell can be tested ({'; '.join(reasons) or 'no seed has two levels'})")
    return _Raw(raw, strays)


def _adjusted(cells: Sequence[_Tested]) -> dict[int, tuple[float, float]]:
    """p for and against after Holm's correction over these cells, by their ids; of those that are tested."""
    tested = [item for item in cells if item.p_for is not None]
    adjusted_for = holm([item.p_for for item in tested if item.p_for is not None])
    adjusted_against = holm([item.p_against for item in tested if item.p_against is not None])
    return {id(item): (p, q) for item, p, q in zip(tested, adjusted_for, adjusted_against, strict=True)}


def _undecided(claim: Claim, frame: pd.DataFrame, why: str) -> ClaimResult:
    said = statement(claim, frame, (), np.arange(len(frame)))
    return ClaimResult(claim, UNDECIDED, said, f"{claim.id} undecided: {why}.", note=why)


def _key(effect: CellEffect) -> tuple[str, ...]:
    """The cell as text, since a missing value does not equal itself."""
    return tuple(map(str, effect.cell.values()))


def _tested(claim: Claim, quantity: str, effect: CellEffect, second: Blocked | None) -> _Tested:
    found = effect.found
    if effect.note or found is None:
        note = kinds.unpaired(claim, effect.levels.tolist()) or effect.note
        return _Tested(effect, quantity, second=second, note=note)
    margin = claim.margin / claim.scale
    parts = []  # p that each part of the claim holds, and that it does not
    if claim.side in (BELOW, WITHIN):
        parts.append((found.p_below(margin), found.p_above(margin)))
    if claim.side in (ABOVE, WITHIN):
        lower = -margin if claim.side == WITHIN else margin
        parts.append((found.p_above(lower), found.p_below(lower)))
    if claim.while_falling or claim.while_growing:
        if second is None or not second.tested:
            what = "generalization gap" if claim.while_falling else "ball around the origin"
            return _Tested(effect, quantity, second=second, note=f"the {what} cannot be tested here")
        both = second.p_below(0), second.p_above(0)
        parts.append(both if claim.while_falling else both[::-1])
    # All must hold, so the largest p counts. One that fails is enough against it: the smallest p, times their number
    # (Bonferroni).
    p_for, p_against = max(item for item, _ in parts), min(1.0, len(parts) * min(item for _, item in parts))
    return _Tested(effect, quantity, p_for, p_against, second)


def _result(claim: Claim, view: _View, raw: _Raw, adjusted: Mapping[int, tuple[float, float]]) -> ClaimResult:
    frame, tested = view.frame, [item for item in raw.cells if item.p_for is not None]
    cells = tuple(_cell(claim, frame, item, *adjusted.get(id(item), (None, None))) for item in raw.cells)
    counts = count(cells)
    verdict = _verdict(claim, counts)
    result = ClaimResult(
        claim,
        UNDECIDED if verdict == SUPPORTED and view.censored else verdict,
        statement(claim, frame, cells, np.array([item.effect.row for item in raw.cells])),
        cells=cells,
        tested=len(tested),
        counts=counts,
        strays=raw.strays,
        censored=view.censored,
    )
    result = _bounds(result) if claim.quantity == BOUNDS else _overall(result, tested or raw.cells)
    return replace(result, sentence=sentence(result))


def _verdict(claim: Claim, counts: Mapping[str, int]) -> str:
    whole = sum(counts.values())
    if claim.existential:
        return SUPPORTED if counts[SUPPORTED] else CONTRADICTED if counts[CONTRADICTED] == whole else UNDECIDED
    return CONTRADICTED if counts[CONTRADICTED] else SUPPORTED if counts[SUPPORTED] == whole else UNDECIDED


def _cell(claim: Claim, frame: pd.DataFrame, item: _Tested, p_for: float | None, p_against: float | None) -> CellTest:
    verdict, found = UNTESTED, item.effect.found
    if p_for is not None and p_against is not None:
        verdict = SUPPORTED if p_for <= LEVEL else CONTRADICTED if p_against <= LEVEL else UNDECIDED
    limit = None if found is None else _limit(claim, found)
    return CellTest(
        item.quantity,
        item.effect.cell,
        None if found is None else claim.scale * found.effect,
        _interval(found, claim.scale),
        limit,
        p_for,
        p_against,
        verdict,
        0 if found is None else len(found.seeds),
        item.effect.incomplete,
        tuple(float(level) for level in item.effect.levels),
        item.effect.set_aside,
        *(_second(item.second, PER_DOUBLING) if claim.while_falling else (None, None)),
        *(_second(item.second, 1.0) if claim.while_growing else (None, None)),
        _reference(claim, frame, item.effect) if claim.quantity == NORM else None,
        _turn(claim, item.effect),
        item.note,
    )


def _second(found: Blocked | None, scale: float) -> tuple[float | None, Interval | None]:
    return (None, None) if found is None else (scale * found.effect, _interval(found, scale))


def _turn(claim: Claim, effect: CellEffect) -> Turn | None:
    """Where the quantity moves against the claim within the cell, by more than the claim allows from end to end."""
    turn = effect.fall if claim.side == ABOVE else effect.rise
    if turn is None or claim.quantity == BOUNDS:
        return None
    return None if claim.effect == ENDS and claim.scale * turn.change <= claim.margin else turn


def _limit(claim: Claim, found: Blocked) -> float | None:
    """The one-sided limit on the margin's side of the effect, in the claim's unit."""
    effect = claim.scale * found.effect
    margin = math.copysign(claim.margin, effect) if claim.side == WITHIN else claim.margin
    limit = found.limit(lower=effect > margin)
    return None if limit is None else claim.scale * limit


def _interval(found: Blocked | None, scale: float) -> Interval | None:
    interval = None if found is None else found.interval()
    return None if interval is None else interval.scaled(scale)


def _reference(claim: Claim, frame: pd.DataFrame, effect: CellEffect) -> float | None:
    """The exponent of the initialization's norm, in closed form, over the cell's own levels."""
    if effect.found is None or claim.effect != LOG_LOG:
        return None
    row = frame.iloc[effect.row].to_dict()
    norms = np.array([initial_norm({**row, claim.axis: level}) for level in effect.levels])
    if not np.isfinite(norms).all():
        return None
    dose = np.log(effect.levels) - np.log(effect.levels).mean()
    return float(dose @ np.log(norms) / (dose @ dose))


def _overall(result: ClaimResult, over: Sequence[_Tested]) -> ClaimResult:
    """Mean and range over the same cells: those tested, or all where none is."""
    found, scale = [item.effect.found for item in over if item.effect.found is not None], result.claim.scale
    mean, effects = mean_of(found), [scale * item.effect for item in found]
    return replace(
        result,
        overall=scale * mean.effect,
        overall_interval=_interval(mean, scale) if result.tested else None,
        overall_limit=_limit(result.claim, mean) if result.tested else None,
        smallest=min(effects),
        largest=max(effects),
    )


def _bounds(result: ClaimResult) -> ClaimResult:
    parts = []
    for name in dict.fromkeys(cell.quantity for cell in result.cells):
        own = tuple(cell for cell in result.cells if cell.quantity == name)
        counts = count(own)
        tested = [cell for cell in own if cell.verdict != UNTESTED]
        effects, falling = [cell.effect for cell in tested], [cell.falling for cell in tested]
        parts.append(BoundResult(name, _verdict(result.claim, counts), counts, _ends(effects), _ends(falling)))
    return replace(result, bounds=tuple(parts))


def _ends(values: Sequence[float | None]) -> tuple[float, ...]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else ()
