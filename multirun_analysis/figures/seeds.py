"""What seeds do: each network against the mean of its configuration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.association import dots, keys
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.style import Drawing
from multirun_analysis.stats.design import Design, codes

NAME, TITLE = "spread_over_seeds", "Spread over seeds"


def spread_over_seeds(frame: pd.DataFrame, design: Design, target: str) -> Drawing:
    """The distance of a network less the mean of its configuration, and the same of the target."""
    group = codes(frame, design.axes)
    sizes = np.bincount(group)[group]
    shown = frame[sizes > 1]
    if shown.empty:
        return Drawing(NAME, TITLE, None, "every configuration has one seed")
    group = group[sizes > 1]
    means = shown[[names.DISTANCE, target]].astype(float).groupby(group).transform("mean")
    data = shown.assign(
        x=100 * (shown[names.DISTANCE] / means[names.DISTANCE] - 1), y=100 * (shown[target] - means[target])
    )
    role = roles(design.axes)
    colours, panels = role.palette(data), panels_of(data, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.axvline(0, color="0.6", linewidth=0.8)
        dots(axis, rows, "x", role.colour, colours, None, {})
        axis.set(xlabel="", ylabel="")
    what = labels.target_label(target)
    name_axes(figure, "distance less the mean over seeds (% of it)", f"{what} less its mean")
    keys(figure, role, colours, None, {})
    caption = (
        "Each point is a network: how much farther it moved than the mean of its configuration, and how much larger "
        f"its {labels.long(target)} is. No hyperparameter differs between the seeds of a configuration, so an "
        f"association here does not come from them.{panels.note}"
    )
    return Drawing(NAME, TITLE, figure, caption)
