"""When a network ends: its own criteria, on plain numbers of its own training set at an epoch's end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from initdist import names
from initdist.schema import StopConfig

# The training loss is not held against a level while the epoch's mean batch loss exceeds this multiple of it.
CHECK_FACTOR = 10.0


@dataclass(frozen=True)
class State:
    """A network at an epoch's end; NaN where a value was not computed, since none of its criteria needed it."""

    batch_loss: float  # mean over the epoch's samples, while they were trained on
    train_loss: float
    train_error: float
    share: float  # of the samples classified by at least stop.margin


def check_due(level: float, batch_loss: float) -> bool:
    """Whether a training loss may have come down to a level at all."""
    return batch_loss <= CHECK_FACTOR * level


def crossed(level: float, state: State) -> bool:
    """Whether the training loss is down to a level. Whether it is known must not decide: only where it is due."""
    return check_due(level, state.batch_loss) and state.train_loss <= level


def reason(stop: StopConfig, state: State, last: bool) -> str | None:
    """Why a network ends here, or None. Of several criteria met at once, the first in the order of this function."""
    if not math.isfinite(state.batch_loss) or (last and not math.isfinite(state.train_loss)):
        return names.STOP_DIVERGED
    if stop.train_loss > 0 and crossed(stop.train_loss, state):
        return names.STOP_THRESHOLD
    if stop.fraction > 0 and state.share >= stop.fraction:
        return names.STOP_MARGIN
    # Logits that have just overflown still have a largest one.
    if stop.train_error is not None and math.isfinite(state.train_loss) and state.train_error <= stop.train_error:
        return names.STOP_ERROR
    return names.STOP_MAX_EPOCHS if last else None
