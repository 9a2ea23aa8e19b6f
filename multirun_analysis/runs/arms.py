"""Networks whose distance was moved by intervention, and those that were left alone."""

from __future__ import annotations

from typing import Any

import pandas as pd

NAME = "constraint.name"
RADIUS, OF_FREE, DECAY, OFFSET = "constraint.radius", "constraint.of_free", "constraint.decay", "model.init_offset"
STRENGTHS = (OF_FREE, RADIUS, DECAY, OFFSET)
AXES = (NAME, *STRENGTHS)
IMPOSED = "imposed_radius"  # as a number, whether it was given so or as a multiple

NONE, FREE, MOVED = "none", "free", "init_offset"
BALL, SHELL, PULL = "init_ball", "init_shell", "init_decay"
_NEUTRAL: dict[str, Any] = {NAME: NONE, OFFSET: 0.0}  # what older runs without the param had


def settled(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as the design is to see it: a radius that is a multiple of a network's own free distance is the
    multiple, since each seed has another radius."""
    frame = frame.assign(**{key: frame[key].fillna(value) for key, value in _NEUTRAL.items() if key in frame})
    if RADIUS not in frame or OF_FREE not in frame:
        return frame
    own = frame[RADIUS]
    return frame.assign(**{RADIUS: own.where(frame[OF_FREE].isna()), IMPOSED: own})


def arms(frame: pd.DataFrame) -> pd.Series:
    """The arm of each network: `free`, the name of its constraint, or `init_offset`."""
    found = frame[NAME].fillna(NONE).astype(str) if NAME in frame else pd.Series(NONE, index=frame.index)
    moved = frame[OFFSET].fillna(0.0) > 0 if OFFSET in frame else pd.Series(False, index=frame.index)
    return found.where(found != NONE, moved.map({True: MOVED, False: FREE}))


def observed(frame: pd.DataFrame) -> pd.DataFrame:
    """The networks that were left alone: what is observed rests on these. All where there are no others."""
    free = arms(frame) == FREE
    return frame[free] if free.any() and not free.all() else frame


def intervened(frame: pd.DataFrame) -> bool:
    """Whether the distance of any network was moved."""
    return bool((arms(frame) != FREE).any())
