"""How far the evidence on a measure carries: a ladder of four rungs, made from the numbers of the league table.

Associated within groups; beyond the hyperparameters, both between configurations and across seeds; predicts groups left
out; moves the target when it is moved. Of the distance each rung is judged by itself; of every other measure after
Holm's correction over the measures, since nothing was stated about it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from multirun_analysis import labels
from multirun_analysis.stats.intervals import holm
from multirun_analysis.stats.league.league_types import (
    ASSOCIATED,
    BEYOND,
    CONTRADICTED,
    MOVES,
    PREDICTS,
    SUPPORTED,
    UNDECIDED,
    Estimate,
    Rung,
    Standing,
)
from multirun_analysis.stats.regression.headline import Headline
from multirun_analysis.stats.regression.ols import Interval, Slope

LEVEL = 0.05
VERDICT = {"positive": SUPPORTED, "negative": CONTRADICTED}


def rungs(row: Standing) -> tuple[Rung, ...]:
    """The ladder of one measure, each rung by itself."""
    associated, predicts = (VERDICT.get(item.verdict, UNDECIDED) for item in (row.headline, row.left_out))
    return (
        Rung(ASSOCIATED, associated, _associated(row.headline), _p(row.headline.interval)),
        beyond(row.partial, row.across_seeds),
        Rung(PREDICTS, predicts, _predicts(row), _p(row.left_out.interval)),
        Rung(MOVES, UNDECIDED, "no network of this experiment had its distance moved by intervention"),
    )


def corrected(rows: Sequence[Standing], stated: Sequence[str]) -> list[Standing]:
    """The rows with Holm's correction over all measures but those stated before, which keep their own p values."""
    results = [list(row.rungs) for row in rows]
    for place in range(len(results[0]) if results else 0):
        open_ = [k for k, row in enumerate(rows) if row.measure not in stated and row.rungs[place].p is not None]
        adjusted = holm([rows[k].rungs[place].p or 0.0 for k in open_])
        for k, p in zip(open_, adjusted, strict=True):
            rung = rows[k].rungs[place]
            kept = rung.verdict if p <= LEVEL else UNDECIDED
            lost = (
                ""
                if kept == rung.verdict
                else f"; this does not hold after the correction over {len(open_)} measures (p = {p:.2g})"
            )
            results[k][place] = replace(rung, p=p, verdict=kept, reason=rung.reason + lost)
    return [replace(row, rungs=tuple(found)) for row, found in zip(rows, results, strict=True)]


def beyond(partial: Estimate, seeds: Slope) -> Rung:
    """The rung that needs both: what the hyperparameters leave between configurations, and the slope across seeds.

    Both on the predicted side support it, so the larger p value counts. One on the other side contradicts it, so twice
    the smaller one counts.
    """
    first, second = _between(partial), _across(seeds)
    words = f"{first[1]}; {second[1]}"
    if first[0] == second[0] == SUPPORTED:
        return Rung(BEYOND, SUPPORTED, words, max(first[2], second[2]))
    against = [part[2] for part in (first, second) if part[0] == CONTRADICTED]
    if against:
        p = min(1.0, 2 * min(against))
        return Rung(BEYOND, CONTRADICTED if p <= LEVEL else UNDECIDED, words, p)
    return Rung(BEYOND, UNDECIDED, words, max(first[2], second[2]))


def _between(partial: Estimate) -> tuple[str, str, float]:
    """Verdict, words and p value of the partial correlation between configurations."""
    if partial.low is None or partial.p is None:
        return UNDECIDED, f"the partial correlation given the hyperparameters is not known ({partial.note})", 1.0
    text = f"the partial correlation given the hyperparameters is {estimate(partial)}"
    return VERDICT.get(partial.verdict, UNDECIDED), text, partial.p


def _across(slope: Slope) -> tuple[str, str, float]:
    """Verdict, words and p value of the slope across seeds, which no function of the hyperparameters can imitate."""
    widest = slope.widest
    if slope.slope is None or slope.interval is None or widest is None:
        return UNDECIDED, f"the slope across seeds is not known ({slope.note})", 1.0
    effect = slope.effect if slope.effect is not None else 0.0
    scale = 100 * effect / slope.slope if slope.slope else 0.0
    low, high = number(scale * widest.low), number(scale * widest.high)
    words = (
        f"the slope across seeds is {number(100 * effect)} [{low}, {high}] percentage points for one standard deviation"
    )
    return VERDICT.get(widest.side, UNDECIDED), words, widest.p


def _associated(found: Headline) -> str:
    if found.slope is None or found.interval is None:
        return found.note
    return f"{found.points} configurations in {labels.count(found.groups, 'group')}; the interval is {found.basis}"


def _predicts(row: Standing) -> str:
    found = row.left_out
    if found.gain is None or found.alone is None or found.both is None:
        return found.note
    words = f"R² in groups left out is {found.alone:.3f} with the hyperparameters alone, {found.both:.3f} with it added"
    if found.interval is not None and found.interval.low > 0 and found.direction < 0:
        words += ", with the sign opposite to the predicted one"
    return (f"{words} ({found.note})" if found.note else f"{words} ({found.groups} groups)").replace("-", "−")


def _p(interval: Interval | None) -> float | None:
    return None if interval is None else interval.p


def estimate(item: Estimate) -> str:
    """`0.4 [0.1, 0.6]`."""
    text = number(item.value)
    return text if item.low is None else f"{text} [{number(item.low)}, {number(item.high)}]"


def number(value: float | None) -> str:
    """Two digits, with a minus sign."""
    return "undefined" if value is None else f"{value:.2g}".replace("-", "−")
