"""What the test of a claim found: in each cell, for each bound, and over all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from multirun_analysis.stats.claims.paper_claims import ABOVE, WITHIN, Claim
from multirun_analysis.stats.claims.seed_effects import Turn
from multirun_analysis.stats.regression.ols import Interval

SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTED = "supported", "contradicted", "undecided", "untested"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, UNTESTED)  # of a cell


@dataclass(frozen=True)
class CellTest:
    """A claim in one cell, in the claim's unit. verdict: supported | contradicted | undecided | untested (note: why).

    interval: two-sided 95%; limit: the one-sided 95% limit towards the margin, which the test at 5% goes by; both
    unadjusted. p_for, p_against: one-sided, Holm-adjusted over the claim's tested
    cells, that the effect lies on the claim's side of the margin, and on the other side. levels: those compared;
    set_aside: levels that half of the seeds or fewer have. seeds: those with two of the levels; incomplete_seeds lack
    one. falling: the change of what must fall meanwhile (C7), in percentage points per doubling of the axis. growing:
    the exponent of what must grow meanwhile (C6). reference: the effect in the initialization's closed form (C2). turn:
    its change is of the logarithm, or of the quantity (C5).
    """

    quantity: str
    cell: dict[str, Any]
    effect: float | None
    interval: Interval | None
    limit: float | None
    p_for: float | None
    p_against: float | None
    verdict: str
    seeds: int
    incomplete_seeds: int
    levels: tuple[float, ...]
    set_aside: tuple[float, ...] = ()
    falling: float | None = None
    falling_interval: Interval | None = None
    growing: float | None = None
    growing_interval: Interval | None = None
    reference: float | None = None
    turn: Turn | None = None  # two levels between which the quantity is shown to move against the claim
    note: str = ""


@dataclass(frozen=True)
class BoundResult:
    """C7 for one bound. supported: it grows while the gap falls in at least one cell; contradicted: in no cell, and all
    are tested; else undecided. effects, falling: smallest and largest over its tested cells."""

    quantity: str
    verdict: str
    counts: dict[str, int]
    effects: tuple[float, ...] = ()
    falling: tuple[float, ...] = ()


@dataclass(frozen=True)
class ClaimResult:
    """supported: every cell of the grid is tested and supports it; contradicted: at least one tested cell lies on the
    other side; else undecided. A claim that says "can" (C7): as BoundResult, over all bounds.

    statement: the claim as it was tested on these data. sentence: the verdict in words, made from the numbers.
    tested: how many of `cells` were. overall: mean effect over the tested cells (over all if none is), seeds the
    replicates, blocked across cells, with its two-sided 95% interval and its one-sided 95% limit towards the margin;
    smallest, largest: over the same cells; all in the claim's unit. strays: cells with neither two levels of the axis
    nor three seeds, so networks outside of the grid; they count for nothing. censored, of a claim on twins: cells whose
    networks are left out, since too few met their stopping rule; with one of them the claim is not supported. parts: of
    a claim that has some; it is supported if all of them are, contradicted if one is.
    """

    claim: Claim
    verdict: str
    statement: str = ""
    sentence: str = ""
    cells: tuple[CellTest, ...] = ()
    tested: int = 0
    overall: float | None = None
    overall_interval: Interval | None = None
    overall_limit: float | None = None
    smallest: float | None = None
    largest: float | None = None
    counts: dict[str, int] = field(default_factory=dict)  # verdict -> cells
    bounds: tuple[BoundResult, ...] = ()
    strays: tuple[dict[str, Any], ...] = ()
    note: str = ""
    censored: tuple[dict[str, Any], ...] = ()
    parts: tuple[ClaimResult, ...] = ()

    @property
    def whole(self) -> int:
        """How many cells there are."""
        return sum(self.counts.values())


def other_side(claim: Claim, effect: float | None) -> bool:
    """Whether an effect lies on the other side of the claim's margin."""
    if effect is None:
        return False
    if claim.side == WITHIN:
        return abs(effect) > claim.margin
    return effect < claim.margin if claim.side == ABOVE else effect > claim.margin


def count(cells: tuple[CellTest, ...]) -> dict[str, int]:
    """Verdict -> cells."""
    return {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in VERDICTS}
