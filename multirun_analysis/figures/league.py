"""The league table as a picture: each measure's rank statistics with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures import hover
from multirun_analysis.figures.style import MARKERS, Drawing, legend, limit
from multirun_analysis.stats.league.league_types import Baseline, Estimate, LeagueTable, Standing

NAME, TITLE = "league", "Measures with their intervals"
MAXIMUM_ROWS = 30
KEPT = (names.DISTANCE,)  # drawn whatever their place
PANELS = {
    "tau_within": "Kendall's τ\nwithin groups",
    "psi": "granulated τ\n(Ψ)",
    "partial": "partial correlation\ngiven the axes",
}


def league(tables: Mapping[str, LeagueTable]) -> Drawing:
    """tables: experiment -> its league table; several are drawn side by side, in the first one's order."""
    measures = _drawn(tables)
    rows = [row for table in tables.values() for row in table.rows]
    if not any(estimate_of(row, statistic).value is not None for row in rows for statistic in PANELS):
        return Drawing(NAME, TITLE, None, "no measure can be ranked")
    colours = dict(zip(tables, sns.color_palette("colorblind", len(tables)), strict=True))
    width, row = (10.4, 0.34) if limit() is None else (limit() or 0.0, 0.17)
    shown = {key: title for place, (key, title) in enumerate(PANELS.items()) if place == 0 or width >= 5}
    figure = Figure(figsize=(width, 1.3 + row * len(measures) * max(1, 0.7 * len(tables))), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, (statistic, title) in zip(axes, shown.items(), strict=True):
        for number, (experiment, table) in enumerate(tables.items()):
            shift = (number - (len(tables) - 1) / 2) * min(0.3, 0.9 / len(tables))  # within the measure's row
            _column(axis, table, measures, statistic, shift, MARKERS[number % len(MARKERS)], colours[experiment])
            if len(tables) == 1:
                _baseline(axis, table, statistic)
        axis.axvline(0, color="0.45", linewidth=0.9, zorder=1)
        axis.set(xlim=(-1.05, 1.05), xlabel=title)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(measures)), [_label(measure, tables) for measure in measures])
    axes[0].set_ylim(len(measures) - 0.5, -0.5)
    for tick, measure in zip(axes[0].get_yticklabels(), measures, strict=True):
        tick.set_fontweight("bold" if measure in KEPT else "normal")
    if len(tables) > 1:
        entries = {
            name: {"color": colours[name], "marker": MARKERS[place % len(MARKERS)], "linestyle": "-"}
            for place, name in enumerate(tables)
        }
        legend(figure, [("experiment", entries)])
    return Drawing(NAME, TITLE, figure, _caption(tables, len(measures)))


def _drawn(tables: Mapping[str, LeagueTable]) -> list[str]:
    ordered = list(dict.fromkeys(row.measure for table in tables.values() for row in table.rows))
    first = ordered[:MAXIMUM_ROWS]
    return [*first, *(measure for measure in KEPT if measure in ordered and measure not in first)]


def _label(measure: str, tables: Mapping[str, LeagueTable]) -> str:
    if len(tables) > 1:
        return measure
    place = next(iter(tables.values())).by_measure.get(measure)
    rank = place.ranks.get("tau_within") if place else None
    return f"{measure}  {rank}" if rank else measure


def estimate_of(row: Standing | Baseline, statistic: str) -> Estimate:
    """The estimate of one of PANELS."""
    found: Estimate = row.psi.average if statistic == "psi" else getattr(row, statistic)
    return found


def _column(
    axis: Axes, table: LeagueTable, measures: Sequence[str], statistic: str, shift: float, marker: str, colour: object
) -> None:
    for place, measure in enumerate(measures):
        row = table.by_measure.get(measure)
        item = estimate_of(row, statistic) if row else Estimate(None)
        if row is None or item.value is None:
            continue
        y = place + shift
        if item.low is not None and item.high is not None:
            axis.plot([item.low, item.high], [y, y], color=colour, linewidth=1.8, alpha=0.75, solid_capstyle="butt")
        difference = row.differences.get(statistic)
        worse = difference is not None and difference.verdict == "worse than the leader"
        axis.plot(
            [item.value], [y], marker, color=colour, markersize=6, markerfacecolor="white" if worse else colour,
            markeredgewidth=1.4, zorder=3,
        )  # fmt: skip
        ends = "" if item.low is None else f" [{labels.fixed(item.low)}, {labels.fixed(item.high)}]"
        hover.tell(axis, [item.value], [y], [f"{measure}: {labels.fixed(item.value)}{ends}"])


def _baseline(axis: Axes, table: LeagueTable, statistic: str) -> None:
    """The hyperparameters alone, where that is defined."""
    if statistic == "partial":
        return
    item = estimate_of(table.baseline, statistic)
    if item.value is not None and np.isfinite(item.value):
        axis.axvline(item.value, color="0.15", linestyle=(0, (4, 2)), linewidth=1.3, zorder=2)


def _caption(tables: Mapping[str, LeagueTable], drawn: int) -> str:
    table = next(iter(tables.values()))
    text = (
        "Each point is a measure, normalized across training sizes and oriented, over configuration means. Right of 0 "
        "is what the measure predicts. Bars: 95% intervals for new configurations (none where there are too few). "
        "Hollow points: worse than the leader in a paired comparison (max-T, 95%)."
    )
    if len(tables) == 1:
        text += " Dashed line: the hyperparameters alone. Numbers: places under τ within groups."
    total = len({row.measure for other in tables.values() for row in other.rows})
    if drawn < total:
        text += f" {drawn} of {total} measures are drawn."
    return f"{text} Target: {labels.long(table.target)}."
