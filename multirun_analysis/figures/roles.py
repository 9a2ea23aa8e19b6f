"""Which axis takes the colour, the marker and the panels of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis import labels
from multirun_analysis.figures.style import Entries, levels_of, palette
from multirun_analysis.runs.params import NOISE_LEVEL, TRAIN_SIZE
from multirun_analysis.stats.design import Design

MAXIMUM_STYLES = 12
COLOUR_FIRST = (NOISE_LEVEL, "loss.name", "optimizer.name", "model.name", "model.depth", TRAIN_SIZE)


@dataclass(frozen=True)
class Roles:
    """panels: the axes whose combinations are small multiples."""

    colour: str | None
    panels: tuple[str, ...]

    def palette(self, frame: pd.DataFrame) -> dict[Any, Any]:
        """Level of the colour's axis -> its colour."""
        return palette(levels_of(frame, self.colour)) if self.colour else {}

    def block(self, entries: Entries) -> list[tuple[str, Entries]]:
        """A legend's block for the colours; none where nothing takes them."""
        return [(labels.short(self.colour), entries)] if self.colour else []


def roles(axes: Sequence[str], first: Sequence[str] = COLOUR_FIRST) -> Roles:
    """The noise level takes the colour if it varies, else the next in the list; all other axes make panels."""
    colour = next((axis for axis in first if axis in axes), axes[0] if axes else None)
    return Roles(colour, tuple(axis for axis in axes if axis != colour))


def of_association(design: Design) -> Roles:
    """For the scatter of target against measure: groups take colour and panels, else a within axis the colour."""
    if design.group_axes:
        return roles(design.group_axes)
    return Roles(next(iter(design.within_axes), None), ())
