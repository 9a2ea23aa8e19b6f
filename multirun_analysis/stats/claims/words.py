"""A claim's statement and its verdict in words, made from the data and the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.runs.params import DEPTH
from multirun_analysis.runs.read import STOP_REASON
from multirun_analysis.stats.claims.paper_claims import (
    ABOVE,
    BELOW,
    BOUNDS,
    DEPTHS,
    ENDS,
    START,
    THRESHOLD,
    WITHIN,
    Claim,
)
from multirun_analysis.stats.claims.results import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    BoundResult,
    CellTest,
    ClaimResult,
    other_side,
)
from multirun_analysis.stats.claims.seed_blocks import MINIMUM_SEEDS
from multirun_analysis.stats.regression.ols import Interval

NAMED = 3  # cells named one by one; more are counted


def statement(claim: Claim, frame: pd.DataFrame, cells: Sequence[CellTest], rows: np.ndarray) -> str:
    """The claim with what it says of these data. rows [cells]: one network of each cell of the grid."""
    text = claim.statement.removesuffix(".")
    if claim.clause == DEPTHS and DEPTH in frame:
        text += _depths(sorted({float(item) for item in frame[DEPTH].iloc[rows].dropna()}))
    if claim.clause == START and cells and all((cell.reference or 0.0) > 0 for cell in cells):
        text += ", as the norm of the initialization does"
    if claim.clause == THRESHOLD and STOP_REASON in frame and (frame[STOP_REASON] == names.STOP_THRESHOLD).all():
        text += " while the training loss is at the threshold"
    return f"{text}."


def _depths(depths: Sequence[float]) -> str:
    written = [labels.value(item) for item in depths]
    if not written:
        return ""
    return f", at {'depths' if len(written) > 1 else 'depth'} {labels.together(written)}"


def sentence(result: ClaimResult) -> str:
    """The verdict, the cells it rests on, the effects with their limit and interval, and what was not tested."""
    parts = [_bounds(result)] if result.claim.quantity == BOUNDS else [_counts(result), _effects(result)]
    parts += [
        _one_sided(result),
        _beyond(result),
        _growing(result),
        _turns(result),
        _references(result),
        _untested(result),
        _set_aside(result),
        _strays(result),
        _censored(result),
    ]
    return " ".join(part for part in parts if part)


def together(result: ClaimResult) -> str:
    """The verdict on a claim with parts, and then theirs."""
    said = labels.together([f"{part.claim.id} {part.verdict}" for part in result.parts])
    return " ".join(
        [f"{result.claim.id} {result.verdict} ({scope(result)}): {said}.", *(p.sentence for p in result.parts)]
    )


def limited(limit: float, effect: float) -> str:
    """A one-sided limit: `< 0.05` if the effect lies below it, else `> 0.05`."""
    return f"{'<' if effect <= limit else '>'} {labels.number(limit)}"


def bound(claim: Claim) -> str:
    """`< 0.05` for a claim that the effect lies below its margin; `within ± 0.05`, or `0.5 to 1.5` around another
    centre than 0, for one that it lies within."""
    if claim.side == WITHIN and claim.centre:
        return " to ".join(labels.value(claim.centre + side * claim.margin) for side in (-1, 1))
    sign = {BELOW: "<", ABOVE: ">", WITHIN: "within ±"}[claim.side]
    return f"{sign} {labels.value(claim.margin)}"


def scope(result: ClaimResult) -> str:
    """`1 of 4 cells tested`."""
    return f"{result.tested} of {labels.count(result.whole, 'cell')} tested"


def _counts(result: ClaimResult) -> str:
    head = f"{result.claim.id} {result.verdict} ({scope(result)})"
    if not result.tested:
        return f"{head}."
    said = f"supported in {result.counts[SUPPORTED]}, contradicted in {result.counts[CONTRADICTED]}"
    said += f", open in {result.counts[UNDECIDED]}" if result.counts[UNDECIDED] else ""
    return f"{head}: {said} (one-sided tests at 5%, Holm's correction over cells)."


def _effects(result: ClaimResult) -> str:
    claim = result.claim
    if result.overall is None or result.smallest is None or result.largest is None:
        return ""
    number = result.tested or sum(cell.effect is not None for cell in result.cells)
    kind = "tested" if result.tested else "untested"
    mean, interval = labels.number(result.overall), result.overall_interval
    text = f"{labels.capital(claim.unit)}: "
    text += f"mean {mean} over the {number} {kind} cells" if number > 1 else mean
    if result.overall_limit is not None and interval is not None:
        text += f", one-sided 95% limit {limited(result.overall_limit, result.overall)}"
        text += f", two-sided 95% interval [{labels.number(interval.low)}, {labels.number(interval.high)}]"
    if number > 1:
        text += f"; range over the same cells {labels.number(result.smallest)} to {labels.number(result.largest)}"
    return f"{text}; margin {_margin(claim)}."


def _margin(claim: Claim) -> str:
    return f"{'±' if claim.side == WITHIN else ''}{labels.value(claim.margin)}"


def _beyond(result: ClaimResult) -> str:
    """An effect beyond the margins may be a fall as well as a rise."""
    if result.claim.side != WITHIN:
        return ""
    shown = [cell for cell in result.cells if cell.verdict == CONTRADICTED]
    falls = [cell.effect for cell in shown if cell.effect is not None and cell.effect < -result.claim.margin]
    if not falls:
        return ""
    quantity, axis = labels.long(result.claim.quantity), labels.short(result.claim.axis)
    where = labels.count(len(falls), "contradicted cell")
    return f"In {where} the {quantity} falls with {axis} ({labels.span(falls)})."


def _growing(result: ClaimResult) -> str:
    """What must grow meanwhile (C6)."""
    found = [cell.growing for cell in result.cells if cell.growing is not None and cell.verdict != UNTESTED]
    if not found:
        return ""
    failing = sum(cell.growing_interval is not None and cell.growing_interval.high < 0 for cell in result.cells)
    text = f"The exponent of the {labels.long(result.claim.while_growing)} must be above 0. It is {labels.span(found)}"
    return f"{text}; in {labels.count(failing, 'cell')} its interval lies below 0." if failing else f"{text}."


def _one_sided(result: ClaimResult) -> str:
    """Where a two-sided interval includes the margin that the one-sided test rejects, it is said."""
    claim = result.claim
    margins = (-claim.margin, claim.margin) if claim.side == WITHIN else (claim.margin,)

    def at_margin(interval: Interval | None) -> bool:
        return any(_includes(interval, margin) for margin in margins)

    cells = [
        cell
        for cell in result.cells
        if cell.verdict in (SUPPORTED, CONTRADICTED)
        and (at_margin(cell.interval) or _includes(cell.falling_interval or cell.growing_interval, 0.0))
    ]
    places = []
    if cells:
        places.append("the cell" if len(result.cells) == 1 else labels.count(len(cells), "decided cell"))
    if len(result.cells) > 1 and result.verdict == SUPPORTED and at_margin(result.overall_interval):
        places.append("the mean over cells")
    if not places:
        return ""
    where = " and in ".join(places)
    return f"In {where} the two-sided 95% interval includes {_margin(claim)}. The one-sided test at 5% decides."


def _includes(interval: Interval | None, margin: float) -> bool:
    return interval is not None and interval.low <= margin <= interval.high


def _turns(result: ClaimResult) -> str:
    """An effect over all levels says nothing of a way up and down between them."""
    turns = [cell.turn for cell in result.cells if cell.turn is not None]
    if not turns:
        return ""
    most = max(turns, key=lambda turn: abs(turn.change))
    moves = "falls" if result.claim.side == ABOVE else "rises"
    if result.claim.effect == ENDS:
        size = f"{labels.number(result.claim.scale * abs(most.change))} percentage points"
    else:
        size = f"{labels.number(100 * abs(math.expm1(most.change)))}%"
    levels = f"from {labels.short(result.claim.axis)} {labels.value(most.lower)} to {labels.value(most.upper)}"
    where = "" if len(result.cells) == 1 else f" in {labels.count(len(turns), 'cell')} with three levels or more"
    return f"Between two levels it {moves}{where}, most {levels}: by {size}."


def _references(result: ClaimResult) -> str:
    found = [cell.reference for cell in result.cells if cell.reference is not None]
    return f"The initialization alone: {labels.span(found)}." if found else ""


def _untested(result: ClaimResult) -> str:
    """Which cells were not tested, why, and which of them go the other way."""
    cells = [cell for cell in result.cells if cell.verdict == UNTESTED]
    if not cells:
        return ""
    against = [cell.effect for cell in cells if cell.effect is not None and other_side(result.claim, cell.effect)]
    reasons = pd.Series([cell.note for cell in cells]).value_counts()
    said = [f"{number} ({reason})" if len(reasons) > 1 else f"{reason}" for reason, number in reasons.items()]
    text = f"Not tested: {_cells(cells)}: {', '.join(said)}."
    if against:
        where = "There" if len(cells) == 1 else f"In {len(against)} of them"
        text += f" {where} the effect lies on the other side of the margin ({labels.span(against)}, untested)."
    return text


def _cells(cells: Sequence[CellTest]) -> str:
    if len(cells) > NAMED:
        return labels.count(len(cells), "cell")
    return f"{labels.count(len(cells), 'cell')} ({'; '.join(dict.fromkeys(labels.cell(c.cell) for c in cells))})"


def _set_aside(result: ClaimResult) -> str:
    levels = sorted({level for cell in result.cells for level in cell.set_aside})
    if not levels:
        return ""
    axis, written = labels.short(result.claim.axis), labels.together([labels.value(level) for level in levels])
    return f"These levels are left out, because half of a cell's seeds or fewer have them: {axis} {written}."


def _strays(result: ClaimResult) -> str:
    if not result.strays:
        return ""
    named = "; ".join(labels.cell(cell) for cell in result.strays[:NAMED])
    more = ", ..." if len(result.strays) > NAMED else ""
    number, axis = labels.count(len(result.strays), "cell"), labels.short(result.claim.axis)
    return f"Not counted: {number} with one level of {axis} and fewer than {MINIMUM_SEEDS} seeds ({named}{more})."


def _censored(result: ClaimResult) -> str:
    if not result.censored:
        return ""
    named = "; ".join(labels.cell(cell) for cell in result.censored[:NAMED])
    more = ", ..." if len(result.censored) > NAMED else ""
    return f"Censored, because too few seeds met their stopping rule: {named}{more}."


def _bounds(result: ClaimResult) -> str:
    """C7: bound by bound, the gap's own change with each."""
    head = f"{result.claim.id} {result.verdict} ({scope(result)}, with the cells of each bound counted)"
    if not result.tested:
        return f"{head}."
    found, whole = [part for part in result.bounds if part.verdict == SUPPORTED], len(result.bounds)
    head += f": {len(found)} of {labels.count(whole, 'bound')} with a distance in {'its' if whole == 1 else 'their'} "
    head += f"formula {'grows' if len(found) == 1 else 'grow'} with {labels.short(result.claim.axis)} while the gap "
    head += "falls in at least one cell (one-sided tests at 5%, Holm's correction over cells and bounds)."
    return " ".join([head, *(_bound(part, result) for part in result.bounds if part.effects)])


def _bound(part: BoundResult, result: ClaimResult) -> str:
    where = f"{part.counts[SUPPORTED]} of {labels.count(sum(part.counts.values()), 'cell')}"
    text, axis = (
        f"{part.quantity.removeprefix(names.MEASURE)}: this holds in {where}; ",
        labels.short(result.claim.axis),
    )
    exponent, gap = labels.span(part.effects), labels.span(part.falling)
    text += f"exponent {exponent}, gap {gap} percentage points per doubling of {axis}"
    own = [c for c in result.cells if c.quantity == part.quantity and c.verdict != UNTESTED]
    rising = sum(c.falling is not None and c.falling > 0 for c in own)
    return f"{text}; the gap rises in {labels.count(rising, 'cell')}." if rising else f"{text}."
