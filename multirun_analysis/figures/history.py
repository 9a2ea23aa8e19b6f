"""The distance during training."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.style import Drawing, legend, levels_of, log_y, marks, palette
from multirun_analysis.params import DEPTH, NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.query import RUN_ID
from multirun_analysis.stats import Results
from multirun_analysis.stats.design import codes

NAME, TITLE = "distance_against_step", "Distance against step"
MAXIMUM_RUNS = 240


def sampled_runs(frame: pd.DataFrame, results: Results) -> list[str]:
    """The runs whose history is drawn: the first seed of each configuration, evenly thinned to MAXIMUM_RUNS."""
    first = frame[~pd.Series(codes(frame, results.design.axes), index=frame.index).duplicated()]
    every = -(-len(first) // MAXIMUM_RUNS)
    return first[RUN_ID].iloc[::every].tolist()


def distance_against_step(frame: pd.DataFrame, results: Results, histories: pd.DataFrame) -> Drawing:
    """histories: columns run_id, step, value. Logarithmic axes start at the first step after initialization."""
    points = histories[(histories["step"] > 0) & (histories["value"] > 0)]
    points = points.merge(frame[[RUN_ID, *results.design.axes]], on=RUN_ID)
    if points.empty:
        return Drawing(NAME, TITLE, None, f"no network has a history of {names.DISTANCE}")
    role = roles(results.design.axes, (WIDTH, NOISE_LEVEL, TRAIN_SIZE, DEPTH))
    colours = palette(levels_of(points, role.colour)) if role.colour else {}
    shades = {labels.value(level): colour for level, colour in colours.items()}
    panels = panels_of(points, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for _, run in rows.groupby(RUN_ID, sort=False):
            run = run.sort_values("step")
            colour = shades[labels.value(run[role.colour].iloc[0])] if role.colour else "C0"
            axis.plot(run["step"], run["value"], color=colour, linewidth=1.3, alpha=0.9)
            axis.plot(run["step"].iloc[-1:], run["value"].iloc[-1:], "o", color=colour, markersize=4)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(numticks=6))
        axis.xaxis.set_minor_formatter(NullFormatter())
    log_y(axes)
    name_axes(figure, "gradient steps", labels.long(names.DISTANCE))
    legend(figure, [(labels.short(role.colour), marks(colours, linewidth=1.7))] if role.colour else [])
    number = points[RUN_ID].nunique()
    caption = (
        f"One network a configuration, its first seed ({labels.count(number, 'network')} of {len(frame)} are drawn); "
        f"dots mark where training stopped. Both axes logarithmic, from the first step recorded after initialization."
    )
    return Drawing(NAME, TITLE, figure, caption + panels.note)
