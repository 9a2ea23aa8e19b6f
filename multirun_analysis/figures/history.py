"""The distance during training: over gradient steps, and over the training loss."""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.roles import roles
from multirun_analysis.figures.scales import enough_ticks, log_y
from multirun_analysis.figures.style import DASHES, Drawing, legend, marks
from multirun_analysis.runs.params import DEPTH, NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.runs.read import RUN_ID
from multirun_analysis.stats.design import Design, codes

MAXIMUM_RUNS = 240
INFINITE = sys.float_info.max  # how MLflow's store keeps an infinity
STEPS, LOSS = "gradient steps", "training loss (nats)"


def sampled_runs(frame: pd.DataFrame, design: Design) -> list[str]:
    """The runs whose history is drawn: the first seed of each configuration, evenly thinned to MAXIMUM_RUNS."""
    first = frame[~pd.Series(codes(frame, design.axes), index=frame.index).duplicated()]
    every = -(-len(first) // MAXIMUM_RUNS)
    return first[RUN_ID].iloc[::every].tolist()


def distance_against_step(frame: pd.DataFrame, design: Design, histories: pd.DataFrame) -> Drawing:
    """histories: columns run_id, metric, step, value. Logarithmic axes begin at the first step after the start."""
    points = _points(frame, design, histories).assign(x=lambda rows: rows["step"])
    return _trajectories("distance_against_step", "Distance against step", points, frame, design, STEPS)


def distance_against_loss(frame: pd.DataFrame, design: Design, histories: pd.DataFrame) -> Drawing:
    """The same over the training loss, which falls to the right: how far for how good a fit."""
    points = _points(frame, design, histories)
    loss = histories[histories["metric"] == names.TRAIN_LOSS].rename(columns={"value": "x"})
    points = points.merge(loss[[RUN_ID, "step", "x"]], on=[RUN_ID, "step"])
    points = points[_drawable(points["x"])]
    squared = "loss.name" in frame and (frame["loss.name"] != "cross_entropy").any()
    name = "training loss" if squared else LOSS
    return _trajectories("distance_against_loss", "Distance against training loss", points, frame, design, name)


def _points(frame: pd.DataFrame, design: Design, histories: pd.DataFrame) -> pd.DataFrame:
    distance = histories[(histories["metric"] == names.DISTANCE) & (histories["step"] > 0)]
    distance = distance[_drawable(distance["value"])]
    return distance.merge(frame[[RUN_ID, *design.axes]], on=RUN_ID)


def _drawable(values: pd.Series) -> pd.Series:
    """What has a place on a logarithmic axis: positive and, as MLflow writes it, not infinite."""
    return values.between(0, INFINITE, inclusive="neither")


def _trajectories(name: str, title: str, points: pd.DataFrame, frame: pd.DataFrame, design: Design, x: str) -> Drawing:
    if points.empty:
        wanted = f"{names.DISTANCE} and {names.TRAIN_LOSS}" if x != STEPS else names.DISTANCE
        return Drawing(name, title, None, f"no network has a history of {wanted}")
    role = roles(design.axes, (WIDTH, NOISE_LEVEL, TRAIN_SIZE, DEPTH))
    colours = role.palette(points)
    shades = {labels.value(level): colour for level, colour in colours.items()}
    dashes = {level: DASHES[place % len(DASHES)] for place, level in enumerate(shades)}
    panels = panels_of(points, role.panels)
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        for _, run in rows.groupby(RUN_ID, sort=False):
            run = run.sort_values("step")
            level = labels.value(run[role.colour].iloc[0]) if role.colour else ""
            colour = shades.get(level, "C0")
            axis.plot(run["x"], run["value"], color=colour, linestyle=dashes.get(level, "-"), linewidth=1.3, alpha=0.9)
            axis.plot(run["x"].iloc[-1:], run["value"].iloc[-1:], "o", color=colour, markersize=4)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(numticks=6))
        axis.xaxis.set_minor_formatter(NullFormatter())
    if x != STEPS:
        axes[0].invert_xaxis()
    for axis in axes:
        enough_ticks(axis.xaxis)
    log_y(axes)
    name_axes(figure, x, labels.long(names.DISTANCE))
    entries = marks(colours, linewidth=1.7)
    entries = {text: {**properties, "linestyle": dashes[text]} for text, properties in entries.items()}
    legend(figure, role.block(entries))
    number = points[RUN_ID].nunique()
    caption = (
        f"One network of each configuration, its first seed ({labels.count(number, 'network')} of {len(frame)} are "
        "drawn). Dots mark where training stopped. Both axes are logarithmic. Curves begin at the first step recorded "
        "after initialization."
    )
    if x != STEPS:
        caption += " The loss falls to the right."
    return Drawing(name, title, figure, caption + panels.note)
