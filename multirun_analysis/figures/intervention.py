"""Dose and response: the gap against the distance that an intervention brought about."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.style import MARKERS, Drawing, legend, palette
from multirun_analysis.figures.trend import LINE
from multirun_analysis.runs.arms import FREE
from multirun_analysis.stats import Results
from multirun_analysis.stats.claims.interventions import Slopes

NAME, TITLE = "gap_against_imposed_distance", "Gap against imposed distance"
GREY = "0.45"
CAPTION = (
    "Each point is an arm: the mean over the seeds that reached the loss threshold. The black point is the network "
    "that was left alone. Dashed: its group's slope over the free configurations, as seen without intervention. Open "
    "points: censored arms, where under 80% of the seeds reached the threshold."
)


def gap_against_imposed_distance(results: Results) -> Drawing:
    """Claims O2 and O2': one line an arm, the line of observation beside it."""
    found = results.interventions
    if found is None:
        return Drawing(NAME, TITLE, None, "no network had its distance moved")
    rows = [
        {**arm.cell, "arm": arm.arm, "x": arm.distance, "y": arm.gap, "censored": arm.censored, "place": place}
        for place, arm in enumerate(found.arms)
        if arm.distance is not None and arm.gap is not None
    ]
    if not rows:
        return Drawing(NAME, TITLE, None, "no arm reached the loss threshold")
    frame = pd.DataFrame(rows).assign(y=lambda some: 100 * some["y"])
    axes_of = list(found.arms[0].cell)
    kinds = [kind for kind in frame["arm"].drop_duplicates() if kind != FREE]
    colours = palette(kinds)
    panels = panels_of(frame, axes_of)
    figure, axes = grid(panels)
    slopes = {_key(slope.cell): slope for slope in found.slopes}
    for axis, part in panels.on(axes):
        _panel(axis, part, colours, slopes.get(_key({name: part[name].iloc[0] for name in axes_of})))
    name_axes(figure, labels.long(names.DISTANCE), f"generalization gap ({labels.POINTS})")
    entries = {
        kind: {"color": colours[kind], "marker": MARKERS[place % len(MARKERS)], **LINE}
        for place, kind in enumerate(kinds)
    }
    entries |= {
        FREE: {"color": "black", "marker": "o", "linestyle": "none"},
        "observed": {"color": GREY, "linestyle": "--", "linewidth": 1.4},
    }
    legend(figure, [("arm", entries)])
    lost = sum(arm.distance is None for arm in found.arms)
    unseen = f" Not drawn: {labels.count(lost, 'arm')} without any seed at the threshold." if lost else ""
    return Drawing(NAME, TITLE, figure, f"{CAPTION}{unseen}{panels.note}")


def _panel(axis: Axes, rows: pd.DataFrame, colours: dict[str, object], slope: Slopes | None) -> None:
    free = rows[rows["arm"] == FREE]
    for place, (kind, colour) in enumerate(colours.items()):
        own = rows[(rows["arm"] == kind) | ((rows["arm"] == FREE) & ~rows["censored"])].sort_values("x")
        if not (own["arm"] == kind).any():
            continue
        kept = own[~own["censored"]]
        axis.plot(kept["x"], kept["y"], color=colour, **LINE)
        for open_, some in own[own["arm"] == kind].groupby("censored"):
            face = "none" if open_ else colour
            axis.plot(
                some["x"], some["y"], MARKERS[place % len(MARKERS)], color=colour, markerfacecolor=face, markersize=5
            )
    if len(free):
        x, y = float(free["x"].iloc[0]), float(free["y"].iloc[0])
        if slope is not None and slope.observed is not None:
            ends = np.array([rows["x"].min(), rows["x"].max()])
            axis.plot(ends, y + 100 * slope.observed * (ends - x), color=GREY, linestyle="--", linewidth=1.4)
        axis.plot([x], [y], "o", color="black", markersize=5)
    axis.set(xlabel="", ylabel="")


def _key(cell: dict[str, object]) -> tuple[str, ...]:
    return tuple(map(str, cell.values()))
