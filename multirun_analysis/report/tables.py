"""Results -> tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.blocks import Table
from multirun_analysis.report.sentences import SCALE, interval
from multirun_analysis.runs.exclusions import MEANING
from multirun_analysis.stats import Results
from multirun_analysis.stats.grid import SEEDS
from multirun_analysis.stats.regression.association import Association
from multirun_analysis.stats.regression.ols import Slope

MAXIMUM_ROWS = 200
UNIT = "Slopes are in percentage points per unit of the measure, with 95% t intervals."
METRICS = (names.DISTANCE, names.TRAIN_ERROR, names.TEST_ERROR, names.GAP, names.GAP_NOISY)  # of a row of networks


def cells(results: Results) -> Table:
    """One row a configuration: means over its seeds."""
    means, axes = results.means, list(results.design.axes)
    columns = [column for column in METRICS if column in means and means[column].notna().any()]
    head = [*map(labels.short, axes), *map(labels.metric_head, columns)]
    rows = []
    for row in means.sort_values(axes).head(MAXIMUM_ROWS).to_dict("records") if axes else means.to_dict("records"):
        shown = [labels.metric_value(row[column], column) for column in columns]
        rows.append([*(labels.value(row[axis]) for axis in axes), *shown, str(row[SEEDS])])
    caption = "Configurations: means over seeds."
    if len(means) > MAXIMUM_ROWS:
        caption += f" The first {MAXIMUM_ROWS} of {len(means)}; all are in statistics.json."
    return Table([*head, "seeds"], rows, caption, len(axes))


def slopes(associations: Sequence[Association], caption: str = UNIT) -> Table:
    """The regressions of each measure, one a row."""
    rows = []
    for association in associations:
        kinds = [
            ("within groups", association.within),
            ("controlled", association.controlled),
            ("across seeds", association.across_seeds),
            ("width only (confounded)", association.width_only),
            ("pooled (description)", association.pooled),
        ]
        measure = association.measure.removeprefix(names.MEASURE)
        rows += [[measure, kind, *_slope(slope, description=slope is association.pooled)] for kind, slope in kinds]
    head = ["measure", "regression", "slope", "verdict", "per sd", "R²", "rows", "groups", "clustered", "note"]
    return Table(head, rows, caption, 2).without("note")


def by_group(association: Association) -> Table:
    """Each group's own slope and tau."""
    rows = []
    for group in association.groups:
        slope = group.slope
        rows.append(
            [labels.cell(group.group), interval(slope), labels.number(group.tau.tau, 2), str(slope.points), slope.note]
        )
    caption = (
        "Each group by itself. With fewer than 6 configurations an interval describes the group and decides nothing."
    )
    return Table(["group", "slope", "tau-b", "configurations", "note"], rows, caption).without("note")


def predictions(associations: Sequence[Association]) -> Table:
    """What the hyperparameters explain, and the measure beside them."""
    rows = []
    for association in associations:
        p = association.prediction
        numbers = [p.r2, p.r2_adjusted, p.left_out, p.left_out_measure, p.left_out_both, p.gain]
        taus = [association.tau_within.tau, association.tau_pooled.tau]
        measure = association.measure.removeprefix(names.MEASURE)
        rows.append([measure, *(labels.number(n, 2) for n in (*taus, *numbers)), str(p.groups), p.note])
    head = ["measure", "tau-b within", "tau-b pooled", "R² hyper.", "adjusted", "left out: hyper."]
    head += ["left out: measure", "left out: both", "gain", "groups", "note"]
    caption = (
        "R² of the hyperparameters alone (configuration means). Left out: 1 − SSE/Σ(y − mean of the training groups)² "
        "when each group is predicted from the others. Gain: the value of both minus that of the hyperparameters."
    )
    return Table(head, rows, caption).without("note")


def exponents(results: Results) -> Table:
    """Slopes of log quantity on log axis."""
    rows = []
    for item in results.scalings:
        shown = Slope(item.slope, item.seeds, 1, item.interval)
        quantity = item.quantity.replace("_", " ")
        cell = labels.cell(item.cell)
        rows.append(
            [f"{quantity} ~ {labels.short(item.axis)}", cell, interval(shown, 1), item.verdict, str(item.seeds)]
        )
        rows[-1] += [str(item.levels), str(item.incomplete_seeds), item.note]
    head = ["log-log", "cell", "exponent", "verdict", "seeds", "levels", "incomplete seeds", "note"]
    caption = (
        "Exponents: the slope of the level means within seeds, with its 95% t interval over seeds. Upper limit below "
        "0: shrinks. Upper limit below 0.05: does not grow. The intervals are not corrected for the number of cells."
    )
    return Table(head, rows, caption, 2).without("note")


def exclusions(counts: dict[str, int]) -> Table:
    """Counts by reason."""
    rows = [[reason, MEANING[reason], str(number)] for reason, number in counts.items()]
    return Table(["reason", "meaning", "runs"], rows, "", 2)


def excluded_cells(by_cell: Sequence[dict[str, Any]]) -> Table:
    """Counts by cell."""
    rows = []
    for item in by_cell[:MAXIMUM_ROWS]:
        left_out = ", ".join(f"{number} {reason}" for reason, number in item["left_out"].items())
        rows.append([labels.cell(item["cell"]), left_out, str(item["used"])])
    more = f" The first {MAXIMUM_ROWS} of {len(by_cell)}." if len(by_cell) > MAXIMUM_ROWS else ""
    return Table(["cell", "left out", "used"], rows, f"Cells with a run left out.{more}", 2)


def _slope(slope: Slope, description: bool) -> list[str]:
    text = labels.number(None if slope.slope is None else SCALE * slope.slope) if description else interval(slope)
    verdict = "–" if description else slope.verdict
    effect = labels.number(None if slope.effect is None else SCALE * slope.effect, 2)
    clustered = "–"
    if not description and slope.clusters is not None:
        clustered = f"undecided ({slope.clusters})"
        if slope.clustered is not None:
            low, high = slope.clustered.low, slope.clustered.high
            clustered = f"[{labels.number(SCALE * low)}, {labels.number(SCALE * high)}] ({slope.clusters})"
    note = "" if description and slope.slope is not None else slope.note
    return [text, verdict, effect, labels.number(slope.r2, 2), str(slope.points), str(slope.groups), clustered, note]
