"""Pre-stated claims against a grid: supported, contradicted or undecided, with numbers. Estimand (a), this grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from initdist import names
from multirun_analysis.catalogue import Entry, read_catalogue
from multirun_analysis.closed_form import initial_norm
from multirun_analysis.columns import NORM
from multirun_analysis.params import is_seed, params_of
from multirun_analysis.stats.blocked import SLOPE, SeedEffects, seed_effects
from multirun_analysis.stats.design import Design, find_design
from multirun_analysis.stats.intervals import holm
from multirun_analysis.stats.ols import Interval, t_interval
from multirun_analysis.stats.prestated import ABOVE, BOUNDS, CLAIMS, ENDS, LEVEL, LOG_LINEAR, LOG_LOG, Claim
from multirun_analysis.stats.scaling import MINIMUM_SEEDS

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


@dataclass(frozen=True)
class CellTest:
    """A claim in one cell. effect: mean over seeds; interval: its 95% t interval, df = seeds - 1, unadjusted.

    p_for, p_against: one-sided, Holm-adjusted over the claim's cells, that the effect lies on the claim's side of the
    margin, and on the other side. falling: the effect on the quantity that must fall meanwhile (C7). reference: the
    effect in the initialization's closed form (C2).
    """

    quantity: str
    cell: dict[str, Any]
    effect: float
    interval: Interval | None
    p_for: float | None
    p_against: float | None
    verdict: str
    seeds: int
    incomplete_seeds: int
    levels: tuple[float, ...]
    falling: float | None = None
    falling_interval: Interval | None = None
    reference: float | None = None
    note: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """supported: in every tested cell after Holm; contradicted: in at least one; else undecided.

    overall: the mean effect over the cells that share their seeds, seeds the replicates (blocked across cells).
    sentence: the verdict in words, made from the numbers.
    """

    claim: Claim
    verdict: str
    sentence: str
    cells: tuple[CellTest, ...] = ()
    overall: float | None = None
    overall_interval: Interval | None = None
    counts: dict[str, int] = field(default_factory=dict)  # verdict -> cells
    note: str = ""


@dataclass(frozen=True)
class _Raw:
    """A cell before Holm."""

    effects: SeedEffects
    quantity: str
    p_for: float | None
    p_against: float | None
    interval: Interval | None
    falling: SeedEffects | None = None
    falling_interval: Interval | None = None


def claims(
    frame: pd.DataFrame,
    *,
    params: Sequence[str] | None = None,
    catalogue: Mapping[str, Entry] | None = None,
    stated: Sequence[Claim] = CLAIMS,
) -> tuple[ClaimResult, ...]:
    """Tests the pre-stated claims on `frame` (one row a network, as load_runs returns it), in their order.

    A claim whose axis does not vary, or whose quantity was not logged, is undecided and says so.
    """
    params = params_of(frame) if params is None else params
    catalogue = read_catalogue() if catalogue is None else catalogue
    design = find_design(frame, params)
    seeds = [name for name in params if is_seed(name) and frame[name].nunique(dropna=False) > 1]
    if NORM not in frame and names.measure("param_norm") in frame:
        frame = frame.assign(**{NORM: np.sqrt(frame[names.measure("param_norm")])})
    return tuple(_test(claim, frame, design, seeds, catalogue) for claim in stated)


def _test(
    claim: Claim, frame: pd.DataFrame, design: Design, seeds: Sequence[str], catalogue: Mapping[str, Entry]
) -> ClaimResult:
    quantities = _quantities(claim, frame, catalogue)
    missing = _missing(claim, frame, design, quantities)
    if missing:
        return ClaimResult(claim, UNDECIDED, f"{claim.id} undecided: {missing}.", note=missing)
    falling = _falling(claim, frame, design, seeds)
    raw = [
        _raw(claim, name, effects, falling)
        for name in quantities
        for effects in seed_effects(frame, design, claim.axis, name, seeds, claim.effect)
    ]
    if not raw:
        note = f"no seed has two levels of {claim.axis} in a cell"
        return ClaimResult(claim, UNDECIDED, f"{claim.id} undecided: {note}.", note=note)
    tested = [item for item in raw if item.p_for is not None and item.p_against is not None]
    adjusted_for = holm([item.p_for for item in tested if item.p_for is not None])
    adjusted_against = holm([item.p_against for item in tested if item.p_against is not None])
    p_values = {id(item): both for item, *both in zip(tested, adjusted_for, adjusted_against, strict=True)}
    cells = tuple(_cell(claim, frame, item, *p_values.get(id(item), (None, None))) for item in raw)
    counts = {
        verdict: sum(cell.verdict == verdict for cell in cells) for verdict in (SUPPORTED, CONTRADICTED, UNDECIDED)
    }
    verdict = (
        CONTRADICTED
        if counts[CONTRADICTED]
        else SUPPORTED
        if tested and counts[SUPPORTED] == len(tested)
        else UNDECIDED
    )
    overall, interval = _overall([item.effects for item in raw]) if len(quantities) == 1 else (None, None)
    result = ClaimResult(claim, verdict, "", cells, overall, interval, counts)
    return replace(result, sentence=_sentence(result, len(tested)))


def _quantities(claim: Claim, frame: pd.DataFrame, catalogue: Mapping[str, Entry]) -> list[str]:
    if claim.quantity != BOUNDS:
        return [claim.quantity] if claim.quantity in frame else []
    return [entry.column for entry in catalogue.values() if entry.group == BOUNDS and entry.column in frame]


def _missing(claim: Claim, frame: pd.DataFrame, design: Design, quantities: Sequence[str]) -> str:
    if claim.axis not in design.axes:
        first = design.aliases.get(claim.axis)
        return f"{claim.axis} moves together with {first}" if first else f"{claim.axis} does not vary"
    if not quantities:
        return "no bound is logged" if claim.quantity == BOUNDS else f"{claim.quantity} is not logged"
    if claim.while_falling and claim.while_falling not in frame:
        return f"{claim.while_falling} is not logged"
    return ""


def _falling(
    claim: Claim, frame: pd.DataFrame, design: Design, seeds: Sequence[str]
) -> dict[tuple[str, ...], SeedEffects]:
    """Cell -> the effect on the quantity that must fall meanwhile."""
    if not claim.while_falling:
        return {}
    kind = LOG_LINEAR if claim.effect == LOG_LINEAR else SLOPE
    found = seed_effects(frame, design, claim.axis, claim.while_falling, seeds, kind)
    return {_key(effects): effects for effects in found}


def _key(effects: SeedEffects) -> tuple[str, ...]:
    """The cell as text, since a missing value does not equal itself."""
    return tuple(map(str, effects.cell.values()))


def _raw(claim: Claim, quantity: str, effects: SeedEffects, falling: Mapping[tuple[str, ...], SeedEffects]) -> _Raw:
    interval, p_for, p_against = _one_sided(effects, claim.margin, claim.side == ABOVE)
    raw = _Raw(effects, quantity, p_for, p_against, interval)
    if not claim.while_falling:
        return raw
    other = falling.get(_key(effects))
    if other is None:
        return replace(raw, p_for=None, p_against=None)
    fall_interval, falls, rises = _one_sided(other, 0.0, above=False)
    if None in (p_for, p_against, falls, rises):
        return replace(raw, p_for=None, p_against=None, falling=other, falling_interval=fall_interval)
    return replace(raw, p_for=max(p_for or 0.0, falls or 0.0), falling=other, falling_interval=fall_interval)


def _one_sided(effects: SeedEffects, margin: float, above: bool) -> tuple[Interval | None, float | None, float | None]:
    """95% interval, and p that the mean lies on the claim's side of the margin and on the other one."""
    number = len(effects.effects)
    if number < MINIMUM_SEEDS:
        return None, None, None
    mean, se = float(effects.effects.mean()), float(effects.effects.std(ddof=1) / np.sqrt(number))
    interval = t_interval(mean, se, number - 1, number)
    if se == 0:
        beyond = mean > margin if above else mean < margin
        return interval, float(not beyond), float(mean == margin or beyond)
    low = float(stdtr(number - 1, (mean - margin) / se))  # small if the mean lies well below the margin
    return (interval, 1 - low, low) if above else (interval, low, 1 - low)


def _cell(claim: Claim, frame: pd.DataFrame, raw: _Raw, p_for: float | None, p_against: float | None) -> CellTest:
    verdict, note = UNDECIDED, ""
    if p_for is None or p_against is None:
        note = f"{len(raw.effects.effects)} complete seeds, a test needs {MINIMUM_SEEDS}"
    elif p_for <= LEVEL:
        verdict = SUPPORTED
    elif p_against <= LEVEL:
        verdict = CONTRADICTED
    return CellTest(
        raw.quantity,
        raw.effects.cell,
        float(raw.effects.effects.mean()),
        raw.interval,
        p_for,
        p_against,
        verdict,
        len(raw.effects.effects),
        raw.effects.incomplete,
        tuple(float(level) for level in raw.effects.levels),
        None if raw.falling is None else float(raw.falling.effects.mean()),
        raw.falling_interval,
        _reference(claim, frame, raw.effects) if claim.quantity == NORM else None,
        note,
    )


def _reference(claim: Claim, frame: pd.DataFrame, effects: SeedEffects) -> float | None:
    """The exponent of the initialization's norm, in closed form, over the cell's own levels."""
    row = frame.iloc[effects.row].to_dict()
    norms = np.array([initial_norm({**row, claim.axis: level}) for level in effects.levels])
    if claim.effect != LOG_LOG or not np.isfinite(norms).all():
        return None
    dose = np.log(effects.levels) - np.log(effects.levels).mean()
    return float(dose @ np.log(norms) / (dose @ dose))


def _overall(cells: Sequence[SeedEffects]) -> tuple[float | None, Interval | None]:
    """Mean over cells for each seed, then over seeds: cells share seeds, so they are no replicates of each other."""
    seed, effect = np.concatenate([cell.seeds for cell in cells]), np.concatenate([cell.effects for cell in cells])
    everywhere = np.bincount(seed) == len(cells)
    complete = np.bincount(seed, weights=effect)[everywhere] / len(cells)
    number = len(complete)
    if number < MINIMUM_SEEDS:
        return (float(complete.mean()) if number else None), None
    return float(complete.mean()), t_interval(
        float(complete.mean()), float(complete.std(ddof=1) / np.sqrt(number)), number - 1, number
    )


def _sentence(result: ClaimResult, tested: int) -> str:
    claim, effects = result.claim, [cell.effect for cell in result.cells]
    scale, unit = (100, "percentage points") if claim.effect == ENDS else (1, claim.unit)
    what = "over cells" if len(effects) > 1 else "in the one cell"
    text = f"{claim.id} {result.verdict}: {result.counts[SUPPORTED]} of {tested} tested cells support it"
    text += f", {result.counts[CONTRADICTED]} contradict it (Holm, one-sided 5%)"
    text += f"; {unit} {scale * min(effects):.3g} to {scale * max(effects):.3g} {what}"
    if result.overall is not None:
        text += f", mean {scale * result.overall:.3g}"
        if result.overall_interval is not None:
            low, high = scale * result.overall_interval.low, scale * result.overall_interval.high
            text += f" [{low:.3g}, {high:.3g}]"
    if claim.margin:
        text += f", margin {scale * claim.margin:g}"
    references = [cell.reference for cell in result.cells if cell.reference is not None]
    if references:
        text += f"; the initialization alone {min(references):.3g} to {max(references):.3g}"
    if not tested:
        text += f"; no cell has the {MINIMUM_SEEDS} seeds that a test needs"
    return text + "."
