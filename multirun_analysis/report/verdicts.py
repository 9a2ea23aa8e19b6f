"""Claims and league table -> tables of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.blocks import Badge, Block, Bullets, Cell, Folded, Link, Table, Text
from multirun_analysis.stats import ClaimResult, LeagueTable
from multirun_analysis.stats.claims.results import VERDICTS
from multirun_analysis.stats.claims.words import limited, scope, sign
from multirun_analysis.stats.league.league_types import Estimate, Information, SignError, Standing
from multirun_analysis.stats.regression.ols import Interval, Slope

OURS = (names.DISTANCE,)
SIGN = {"supported": "+", "contradicted": "−"}
FIGURES = {"C3": "distance_against_train_size", "C4": "distance_against_noise"}

LEAGUE_CAPTION = (
    "League table: how each measure goes with the target, on configuration means; measures are normalized across "
    "training sizes and turned so that positive is as predicted. Sorted by τ-b within groups; click a head to sort."
)
LEAGUE_TEXT = (
    "Ladder: associated within groups, beyond the hyperparameters, predicts groups left out, moves the target when it "
    "is moved. + supported, − contradicted, ? undecided; of all but the distance after Holm's correction over the "
    "measures. τ-b within groups, over all pairs, and Ψ (the mean over axes of τ where only that axis moves) with "
    "95% intervals for new configurations. Partial: the correlation of what the hyperparameters, as factors, leave. "
    "Information: conditional mutual information in percent, with the 95th percentile of its permutation null in "
    "parentheses, since the plain estimate is biased upward: only above that it says something. Sign error: 90th "
    "percentile over environments that certify the sign, 0 is always right, 0.5 a coin. Gain: R² that the measure adds "
    "in groups left out, to the best of several models of the hyperparameters. Slope: percentage points for one "
    "standard deviation within groups."
)


def claims(results: tuple[ClaimResult, ...], drawn: Callable[[str], str | None]) -> list[Block]:
    """The claims and, folded, their cells. drawn: figure name -> its place in the report, None if it is left out."""
    rows: list[list[Cell]] = []
    for item in results:
        figure = drawn(item.claim.figure or FIGURES.get(item.claim.id, ""))
        rows.append(
            [
                item.claim.id,
                item.statement,
                _badge(item.verdict),
                ranged(item.overall, item.overall_interval),
                limit(item.overall_limit, item.overall),
                "–" if item.smallest is None or item.largest is None else labels.span((item.smallest, item.largest)),
                f"{sign(item.claim)} {labels.value(item.claim.margin)}",
                " / ".join(str(item.counts.get(verdict, 0)) for verdict in VERDICTS),
                Link("figure", f"#{figure}") if figure else "",
                item.note or (scope(item) if item.tested < len(item.cells) else ""),
            ]
        )
    head = ["", "claim", "verdict", "mean effect", "limit", "range", "margin", "cells + / − / ? / untested", "figure"]
    caption = (
        "Claims, each tested as stated before any result: on this grid, seeds as replicates, one-sided at 5%, Holm "
        "over cells. Supported: every cell is tested and supports it; contradicted: one cell or more lies on the other "
        "side. A claim that says “can” needs one cell. Mean, with its two-sided 95% interval and its one-sided 95% "
        "limit, and range are over the cells tested, or over all cells if none is."
    )
    parts: list[Block] = [Table([*head, "note"], rows, caption, 3).without("note").without("figure")]
    if any(item.cells for item in results):
        units = [f"{item.claim.id}: effect = {item.claim.unit}." for item in results if item.cells]
        if any(cell.falling is not None for item in results for cell in item.cells):
            units.append("Gap: percentage points per doubling of n, with its two-sided 95% interval.")
        said = [item.sentence for item in results if item.cells]
        parts.append(Folded("Claims in words", [Bullets(said)]))
        parts.append(Folded("Claims cell by cell", [_cells(results), Bullets(units)]))
    return parts


def _badge(verdict: str) -> Badge:
    return Badge(verdict, {"supported": "yes", "contradicted": "no"}.get(verdict, "open"))


def _cells(results: tuple[ClaimResult, ...]) -> Table:
    rows: list[list[Cell]] = [
        [
            item.claim.id,
            labels.cell(cell.cell),
            labels.long(cell.quantity) if cell.quantity in labels.LONG else cell.quantity.removeprefix(names.MEASURE),
            ranged(cell.effect, cell.interval),
            limit(cell.limit, cell.effect),
            "" if cell.falling is None else ranged(cell.falling, cell.falling_interval),
            _badge(cell.verdict),
            labels.number(cell.p_for, 2),
            labels.number(cell.p_against, 2),
            f"{cell.seeds} ({cell.incomplete_seeds} incomplete)" if cell.incomplete_seeds else str(cell.seeds),
            ", ".join(map(labels.value, cell.levels)),
            cell.note,
        ]
        for item in results
        for cell in item.cells
    ]
    heads = ["", "cell", "quantity", "effect", "limit", "gap", "verdict", "p for", "p against", "seeds", "levels"]
    caption = (
        "Claims cell by cell: effects with two-sided 95% intervals, the one-sided 95% limit that a test goes by, p "
        "values after Holm's correction."
    )
    return Table([*heads, "note"], rows, caption, 3, sortable=True).without("note").without("gap")


def limit(value: float | None, effect: float | None) -> str:
    """The one-sided limit: `< 0.05`."""
    return "–" if value is None or effect is None else limited(value, effect)


def ranged(value: float | None, interval: Interval | None, scale: float = 1.0) -> str:
    """`0.83 [0.55, 1.1]`."""
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return labels.interval(value, low, high, scale)


def estimate(item: Estimate) -> str:
    """A rank statistic with its interval, two digits."""
    text = labels.fixed(item.value)
    return text if item.low is None else f"{text} [{labels.fixed(item.low)}, {labels.fixed(item.high)}]"


def league(table: LeagueTable) -> list[Block]:
    """The table, what its columns mean, and folded: Ψ and sign errors by axis, and how each measure is defined."""
    rows: list[list[Cell]] = [_standing(row, table) for row in table.rows]
    strong = {place for place, row in enumerate(table.rows) if row.measure in OURS}
    base = table.baseline
    taus = map(estimate, (base.tau_within, base.tau, base.psi.average))
    alone = f"R² {labels.number(base.left_out, 2)}"
    rows.append(["–", "hyperparameters alone", "–", *taus, "–", "–", "–", alone, "–", base.note])
    head = ["place", "measure", "ladder", "τ within", "τ all", "Ψ"]
    head += ["partial", "information", "sign error", "gain", "slope"]
    main = Table([*head, "beside the leader"], rows, LEAGUE_CAPTION, 2, sortable=True, strong=frozenset(strong))
    hyper = ", ".join(map(labels.term, base.hyperparameters))
    items = [
        f"Every measure must beat the hyperparameters alone ({hyper or 'none vary'}), a linear model of the axes: "
        f"R² = {labels.number(base.r2, 2)} in sample, {labels.number(base.left_out, 2)} in groups left out. Its τ "
        "ranks configurations by what the model predicts for each from all the others.",
        *table.notes,
    ]
    same = [f"{row.measure} ranks the networks as {row.same_as} does" for row in table.rows if row.same_as]
    if same:
        items.append(f"{'; '.join(same)}.")
    items.append(f"{table.resamples:,} resamples, {table.permutations} permutations.")
    return [
        main,
        Text(LEAGUE_TEXT),
        Bullets(items),
        Folded("Ψ and sign errors axis by axis", _by_axis(table)),
        Folded("How the measures are defined", [_definitions(table)]),
    ]


def _standing(row: Standing, table: LeagueTable) -> list[Cell]:
    place = row.ranks.get("tau_within")
    difference = row.differences.get("tau_within")
    beside = difference.verdict if difference else "–"
    return [
        placed(row, table),
        row.measure,
        " ".join(SIGN.get(rung.verdict, "?") for rung in row.rungs),
        estimate(row.tau_within),
        estimate(row.tau),
        estimate(row.psi.average),
        estimate(row.partial),
        information(row.information),
        sign_error(row.sign_error),
        labels.number(row.left_out.gain, 2),
        effect(row.within),
        "leader" if place == 1 and difference is None and not row.same_as else beside,
    ]


def placed(row: Standing, table: LeagueTable) -> str:
    """`3`, or `1–7` where seven measures share these places."""
    found = table.places(row)
    if found is None:
        return "–"
    first, last, _ = found
    return str(first) if first == last else f"{first}–{last}"


def information(item: Information) -> str:
    """`12.3 (8.1)`: percent, and the null's 95th percentile."""
    if item.value is None:
        return "–"
    text = labels.number(100 * item.value)
    return text if item.null_high is None else f"{text} ({labels.number(100 * item.null_high)})"


def sign_error(item: SignError) -> str:
    """The 90th percentile and how many environments survive."""
    if item.percentile_90 is None:
        return "–"
    return f"{labels.fixed(item.percentile_90)} ({sum(item.surviving.values())})"


def effect(slope: Slope) -> str:
    """Percentage points for one standard deviation, with the t interval."""
    if slope.slope is None or slope.effect is None:
        return "–"
    scale = 100 * abs(slope.effect / slope.slope) if slope.slope else 0.0
    return ranged(100 * slope.effect / scale if scale else 0.0, slope.interval, scale)


def _by_axis(table: LeagueTable) -> list[Block]:
    axes = list(dict.fromkeys(axis for row in table.rows for axis in (*row.psi.by_axis, *row.sign_error.environments)))
    rows: list[list[Cell]] = []
    for row in table.rows:
        taus = [estimate(row.psi.by_axis[axis]) if axis in row.psi.by_axis else "–" for axis in axes]
        rows.append([row.measure, *taus, *(_survivors(row.sign_error, axis) for axis in axes)])
    head = ["measure", *(f"τ where {labels.short(axis)} moves" for axis in axes)]
    head += [f"sign error, {labels.short(axis)}" for axis in axes]
    caption = "Axis by axis; sign errors: the mean, and in parentheses surviving of all environments."
    return [Table(head, rows, caption, 1, sortable=True)]


def _survivors(item: SignError, axis: str) -> str:
    counted = f"({item.surviving.get(axis, 0)} of {item.environments.get(axis, 0)})"
    return f"{labels.fixed(item.by_axis.get(axis))} {counted}"


def _definitions(table: LeagueTable) -> Table:
    rows: list[list[Cell]] = [
        [
            row.measure,
            row.group,
            row.formula,
            row.source,
            "+" if row.orientation > 0 else "−",
            row.normalization,
            str(row.configurations),
            str(row.undefined),
            str(row.infinite),
        ]
        for row in table.rows
    ]
    head = ["measure", "group", "formula", "source", "predicts"]
    head += ["normalization", "configurations", "undefined", "infinite"]
    caption = (
        "Normalization of μ over m training samples: root μ/√m, square √(μ/m), log (μ − ln m)/2. Infinite: no positive "
        "margin, the worst rank, left out of regressions."
    )
    return Table(head, rows, caption, 4, sortable=True)


def compared(tables: Mapping[str, LeagueTable]) -> Table:
    """Measures of several experiments: places, τ within and gain of each."""
    measures = list(dict.fromkeys(row.measure for table in tables.values() for row in table.rows))
    rows: list[list[Cell]] = []
    for measure in measures:
        line: list[Cell] = [measure]
        for table in tables.values():
            row = table.by_measure.get(measure)
            if row is None:
                line += ["–", "–", "–"]
                continue
            line += [placed(row, table), estimate(row.tau_within), labels.number(row.left_out.gain, 2)]
        rows.append(line)
    head = ["measure", *(f"{name}: {what}" for name in tables for what in ("place", "τ within", "gain"))]
    strong = frozenset(place for place, measure in enumerate(measures) if measure in OURS)
    return Table(head, rows, "League tables side by side.", 1, sortable=True, strong=strong)


def compared_claims(results: Mapping[str, tuple[ClaimResult, ...]]) -> Table:
    """The verdicts on each claim and its mean effect, experiment by experiment."""
    first = next(iter(results.values()))
    rows: list[list[Cell]] = []
    for place, item in enumerate(first):
        statements = dict.fromkeys(each[place].statement for each in results.values())
        line: list[Cell] = [item.claim.id, next(iter(statements)) if len(statements) == 1 else item.claim.statement]
        for each in results.values():
            other = each[place]
            line += [_badge(other.verdict), ranged(other.overall, other.overall_interval)]
        rows.append(line)
    head = ["", "claim", *(f"{name}: {what}" for name in results for what in ("verdict", "mean effect"))]
    return Table(head, rows, "Claims side by side.", 2)
