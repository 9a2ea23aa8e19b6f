"""League tables -> tables of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.blocks import Block, Bullets, Cell, Folded, Table
from multirun_analysis.stats import LeagueTable
from multirun_analysis.stats.league.league_types import Estimate, Information, SignError, Standing
from multirun_analysis.stats.regression.ols import Slope

OURS = (names.DISTANCE,)
FIRST = ("place", "measure", "ladder", "τ within", "partial", "gain", "slope")  # what fits beside each other
SIGN = {"supported": "+", "contradicted": "−"}

CAPTION = (
    "League table: how each measure goes with the target, over configuration means. Measures are normalized across "
    "training sizes, and their sign is turned so that a positive number is what the measure predicts. The table is "
    "sorted by τ-b within groups. Click a head to sort by another column."
)
COLUMNS = (
    "Ladder: four rungs. A measure is associated with the target within groups, goes beyond the hyperparameters, "
    "predicts groups left out, and moves the target when it is moved. + means supported, − contradicted, ? undecided. "
    "All measures but the distance are judged after Holm's correction over the measures.",
    "τ within, τ all: Kendall's τ-b over the pairs within groups, and over all pairs, with 95% intervals for new "
    "configurations.",
    "Ψ: the mean over axes of τ where only that axis moves, with the same kind of interval.",
    "Partial: the correlation of measure and target after the hyperparameters, as factors, are removed from both.",
    "Information: conditional mutual information in percent. The 95th percentile of its permutation null is in "
    "parentheses. The plain estimate is biased upward, so it says something only above that percentile.",
    "Sign error: the 90th percentile over environments that certify the sign, and in parentheses how many of them "
    "there are. 0 is always right, 0.5 is a coin.",
    "Gain: the R² in groups left out that the measure adds to the best of several models of the hyperparameters.",
    "Slope: percentage points for one standard deviation of the measure within groups, with its 95% interval.",
)


def estimate(item: Estimate) -> str:
    """A rank statistic with its interval, two digits."""
    text = labels.fixed(item.value)
    return text if item.low is None else f"{text} [{labels.fixed(item.low)}, {labels.fixed(item.high)}]"


def blocks(table: LeagueTable) -> list[Block]:
    """The table, what its columns mean, and folded: Ψ and sign errors by axis, and how each measure is defined."""
    base = table.baseline
    hyper = ", ".join(map(labels.term, base.hyperparameters))
    items = [
        f"Every measure must beat the hyperparameters alone ({hyper or 'none vary'}). A linear model of the axes has "
        f"R² = {labels.number(base.r2, 2)} in sample and {labels.number(base.left_out, 2)} in groups left out. For its "
        "τ the model predicts each configuration from all the others, and these predictions are ranked.",
        *table.notes,
    ]
    same = [f"{row.measure} ranks the networks in the same way as {row.same_as}" for row in table.rows if row.same_as]
    if same:
        items.append(f"{'; '.join(same)}.")
    items.append(f"The table rests on {table.resamples:,} resamples and {table.permutations} permutations.")
    return [
        chosen(main(table), FIRST),
        Folded("All columns", [main(table)]),
        Bullets(COLUMNS),
        Bullets(items),
        Folded("Ψ and sign errors axis by axis", _by_axis(table)),
        Folded("How the measures are defined", [_definitions(table)]),
    ]


def chosen(table: Table, heads: Sequence[str]) -> Table:
    """Some columns of a table."""
    places = [list(table.head).index(head) for head in heads]
    rows = [[row[place] for place in places] for row in table.rows]
    names = sum(place < table.names for place in places)
    return Table(list(heads), rows, table.caption, names, table.sortable, table.strong)


def main(table: LeagueTable) -> Table:
    """One row a measure, and one for the hyperparameters alone."""
    rows: list[list[Cell]] = [_standing(row, table) for row in table.rows]
    strong = {place for place, row in enumerate(table.rows) if row.measure in OURS}
    base = table.baseline
    taus = map(estimate, (base.tau_within, base.tau, base.psi.average))
    alone = f"R² {labels.number(base.left_out, 2)}"
    rows.append(["–", "hyperparameters alone", "–", *taus, "–", "–", "–", alone, "–", base.note])
    head = ["place", "measure", "ladder", "τ within", "τ all", "Ψ"]
    head += ["partial", "information", "sign error", "gain", "slope"]
    return Table([*head, "compared with the leader"], rows, CAPTION, 2, sortable=True, strong=frozenset(strong))


def _standing(row: Standing, table: LeagueTable) -> list[Cell]:
    place = row.ranks.get("tau_within")
    difference = row.differences.get("tau_within")
    verdict = difference.verdict if difference else "–"
    return [
        _placed(row, table),
        row.measure,
        " ".join(SIGN.get(rung.verdict, "?") for rung in row.rungs),
        estimate(row.tau_within),
        estimate(row.tau),
        estimate(row.psi.average),
        estimate(row.partial),
        _information(row.information),
        _sign_error(row.sign_error),
        labels.number(row.left_out.gain, 2),
        _effect(row.within),
        "leader" if place == 1 and difference is None and not row.same_as else verdict,
    ]


def _placed(row: Standing, table: LeagueTable) -> str:
    """`3`, or `1–7` where seven measures share these places."""
    found = table.places(row)
    if found is None:
        return "–"
    first, last, _ = found
    return str(first) if first == last else f"{first}–{last}"


def _information(item: Information) -> str:
    """`12.3 (8.1)`: percent, and the null's 95th percentile."""
    if item.value is None:
        return "–"
    text = labels.number(100 * item.value)
    return text if item.null_high is None else f"{text} ({labels.number(100 * item.null_high)})"


def _sign_error(item: SignError) -> str:
    """The 90th percentile and how many environments survive."""
    if item.percentile_90 is None:
        return "–"
    return f"{labels.fixed(item.percentile_90)} ({sum(item.surviving.values())})"


def _effect(slope: Slope) -> str:
    """Percentage points for one standard deviation, with the t interval."""
    if slope.slope is None or slope.effect is None:
        return "–"
    scale = 100 * abs(slope.effect / slope.slope) if slope.slope else 0.0
    return labels.interval(100 * slope.effect / scale if scale else 0.0, slope.interval, scale)


def _by_axis(table: LeagueTable) -> list[Block]:
    axes = list(dict.fromkeys(axis for row in table.rows for axis in (*row.psi.by_axis, *row.sign_error.environments)))
    rows: list[list[Cell]] = []
    for row in table.rows:
        taus = [estimate(row.psi.by_axis[axis]) if axis in row.psi.by_axis else "–" for axis in axes]
        rows.append([row.measure, *taus, *(_survivors(row.sign_error, axis) for axis in axes)])
    head = ["measure", *(f"τ where {labels.short(axis)} moves" for axis in axes)]
    head += [f"sign error, {labels.short(axis)}" for axis in axes]
    caption = (
        "The same statistics axis by axis. Sign errors: the mean over environments that certify the sign, and in "
        "parentheses how many of all environments do so."
    )
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
        "Normalization of a measure μ for m training samples: root is μ/√m, square is √(μ/m), log is (μ − ln m)/2. "
        "Infinite: networks without a positive margin. They have the worst rank and are left out of regressions."
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
            line += [_placed(row, table), estimate(row.tau_within), labels.number(row.left_out.gain, 2)]
        rows.append(line)
    head = ["measure", *(f"{name}: {what}" for name in tables for what in ("place", "τ within", "gain"))]
    strong = frozenset(place for place, measure in enumerate(measures) if measure in OURS)
    return Table(head, rows, "League tables side by side.", 1, sortable=True, strong=strong)
