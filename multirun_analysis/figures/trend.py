"""A quantity over the levels of one axis: means over seeds with bands, and the seeds themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from multirun_analysis import labels
from multirun_analysis.figures import hover
from multirun_analysis.figures.style import MANY_POINTS, MARKERS, named, t_bands

BAND = "Lines: means over seeds. Bands: 95% t intervals of the mean over seeds (none for a single seed)."
LINE: dict[str, Any] = {"linewidth": 1.7, "markersize": 4.5, "markeredgewidth": 0}


def _told(band: pd.DataFrame, x: str, level: dict[str, Any]) -> list[str]:
    """`width = 64, p = 0.5: 5.84 [5.7, 5.9]`, the mean over seeds with its interval."""
    texts = []
    for at, mean, low, high in band[["x", "y", "low", "high"]].to_numpy(dtype=float):
        ends = f" [{labels.number(low)}, {labels.number(high)}]" if np.isfinite(low) else ""
        texts.append(f"{labels.cell({x: at, **level})}: {labels.number(mean)}{ends}")
    return texts


def markers_of(colours: dict[Any, Any]) -> dict[Any, str]:
    """A marker for each level of a palette, so that lines can be told apart without colour."""
    return {level: MARKERS[place % len(MARKERS)] for place, level in enumerate(colours)}


def trend(
    axis: Axes,
    rows: pd.DataFrame,
    x: str,
    metric: str,
    colour_axis: str | None,
    colours: dict[Any, Any],
    linestyle: str = "-",
    seeds: bool = False,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Mean line and band over seeds, one for each level of the colour axis; the seeds themselves as points.

    bounds: what the quantity can be; bands end there.
    """
    data = pd.DataFrame({"x": rows[x].astype(float), "y": rows[metric].astype(float)})
    data["colour"] = named(rows, colour_axis) if colour_axis else "all"
    data = data[np.isfinite(data["y"])]
    if data.empty:
        return
    shades = {labels.value(level): shade for level, shade in colours.items()} if colour_axis else {}
    shapes = {labels.value(level): shape for level, shape in markers_of(colours).items()} if colour_axis else {}
    shades = shades or {"all": next(iter(colours.values()), "C0")}
    if seeds:
        sns.scatterplot(
            data=data, x="x", y="y", hue="colour", palette={level: shades[level] for level in data["colour"].unique()},
            s=12, alpha=0.4, linewidth=0, legend=False, ax=axis, rasterized=len(data) > MANY_POINTS,
        )  # fmt: skip
    for level, band in t_bands(data, ["colour", "x"], "y").groupby("colour", sort=False):
        shade = shades[str(level)]
        axis.plot(band["x"], band["y"], color=shade, linestyle=linestyle, marker=shapes.get(str(level), "o"), **LINE)
        low, high = band["low"].clip(*bounds), band["high"].clip(*bounds)
        hover.tell(axis, band["x"], band["y"], _told(band, x, {colour_axis: level} if colour_axis else {}))
        axis.fill_between(band["x"], low, high, color=shade, alpha=0.18, linewidth=0)
    axis.set(xlabel="", ylabel="")
