"""Which axis takes the colour, the marker and the panels of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multirun_analysis.runs.params import NOISE_LEVEL, TRAIN_SIZE, WIDTH
from multirun_analysis.stats.design import Design

MAXIMUM_STYLES = 12
COLOUR_FIRST = (NOISE_LEVEL, "loss.name", "optimizer.name", "model.name", "model.depth", TRAIN_SIZE)


@dataclass(frozen=True)
class Roles:
    """panels: the axes whose combinations are small multiples."""

    colour: str | None
    panels: tuple[str, ...]


def roles(axes: Sequence[str], first: Sequence[str] = COLOUR_FIRST) -> Roles:
    """The noise level takes the colour if it varies, else the next in the list; all other axes make panels."""
    colour = next((axis for axis in first if axis in axes), axes[0] if axes else None)
    return Roles(colour, tuple(axis for axis in axes if axis != colour))


def over_width(design: Design) -> Roles:
    """For figures with the width on the x axis."""
    return roles(design.others(WIDTH))


def of_association(design: Design) -> Roles:
    """For the scatter of target against measure: groups take colour and panels, else a within axis the colour."""
    if design.group_axes:
        return roles(design.group_axes)
    return Roles(next(iter(design.within_axes), None), ())
