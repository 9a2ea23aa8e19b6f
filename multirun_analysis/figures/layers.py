"""How far each layer moved."""

from __future__ import annotations

import re

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures.panels import grid, name_axes, panels_of
from multirun_analysis.figures.scales import level_axis, log_y
from multirun_analysis.figures.style import Drawing, legend, levels_of, marks, palette
from multirun_analysis.figures.trend import BAND, LINE, markers_of, trend
from multirun_analysis.runs.params import NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.stats.design import Design

NAME, TITLE = "movement_by_layer", "Movement by layer"
MOVEMENT = names.measure(names.DISTANCE) + "/"  # + layer
MAXIMUM_LAYERS = 12
LOGARITHMIC = (WIDTH, TRAIN_SIZE)


def movement_by_layer(frame: pd.DataFrame, design: Design) -> Drawing:
    """||D_k||_F of every weight matrix over the width, else the noise level, else the sample size."""
    layers = layers_of(frame)
    x = next((axis for axis in (WIDTH, NOISE_LEVEL, TRAIN_SIZE) if axis in design.axes), None)
    if not layers:
        return Drawing(NAME, TITLE, None, f"no network has {MOVEMENT}<layer>")
    if x is None:
        return Drawing(NAME, TITLE, None, "neither width nor noise level nor sample size varies")
    shown = layers if len(layers) <= MAXIMUM_LAYERS else layers[:: -(-len(layers) // MAXIMUM_LAYERS)]
    long = frame.melt(list(design.axes), [f"{MOVEMENT}{layer}" for layer in shown], "layer", "movement")
    long["layer"] = long["layer"].str.removeprefix(MOVEMENT)
    long = long[long["movement"] > 0]
    colours = dict(zip(shown, palette(list(range(len(shown)))).values(), strict=True))
    panels = panels_of(long, design.others(x))
    figure, axes = grid(panels)
    for axis, rows in panels.on(axes):
        trend(axis, rows, x, "movement", "layer", colours)
    if x in LOGARITHMIC:
        level_axis(axes, levels_of(frame, x))
    cut = log_y(axes)
    name_axes(figure, labels.long(x), "movement of the layer ‖Wₖ − Zₖ‖ (ℓ2)")
    legend(figure, [("layer", marks(colours, markers_of(colours), **LINE))])
    some = "" if len(shown) == len(layers) else f" {len(shown)} of {len(layers)} layers are drawn."
    scale = "Both axes are logarithmic." if x in LOGARITHMIC else "The vertical axis is logarithmic."
    caption = f"Frobenius norm of each layer's trained minus initial weights. {BAND} {scale}{cut}{some}{panels.note}"
    return Drawing(NAME, TITLE, figure, caption)


def layers_of(frame: pd.DataFrame) -> list[str]:
    """The layers with a recorded movement, layer2 before layer10."""
    found = [str(column).removeprefix(MOVEMENT) for column in frame if str(column).startswith(MOVEMENT)]
    return sorted(found, key=lambda name: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)])
