"""When a network ends: its own criteria, on plain numbers of its own training set at an epoch's end.

The criteria are those of `CRITERIA`. All that is said of them elsewhere is asked of them here: why a network ended,
for which training losses the loop must look, and whether a network has converged. One more is one more entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from initdist import names
from initdist.config.schema import StopConfig

# The training loss is not held against a level while the epoch's mean batch loss exceeds this multiple of it.
CHECK_FACTOR = 10.0


@dataclass(frozen=True)
class EpochFacts:
    """A network at an epoch's end; NaN where a value was not computed, since none of its criteria needed it."""

    batch_loss: float  # mean over the epoch's samples, while they were trained on
    train_loss: float
    train_error: float
    share: float  # of the samples classified by at least stop.margin


def _never(stop: StopConfig, batch_loss: float) -> float:
    return -1.0


@dataclass(frozen=True)
class Criterion:
    """A rule by which training ends before the epoch limit.

    name: the stop reason of networks that meet it.
    asked: whether a config sets it.
    met: whether a network meets it at an epoch's end. Called only where it is asked for.
    awaits: the training loss at or below which it can be met, given the epoch's mean batch loss: the loop computes the
    training loss and error only where they can matter. Infinite: at any loss. Negative, as no loss is: it does not
    read them, or cannot be met yet.
    """

    name: str
    asked: Callable[[StopConfig], bool]
    met: Callable[[StopConfig, EpochFacts], bool]
    awaits: Callable[[StopConfig, float], float] = _never


def check_due(level: float, batch_loss: float) -> bool:
    """Whether a training loss may have come down to a level at all."""
    return batch_loss <= CHECK_FACTOR * level


def crossed(level: float, state: EpochFacts) -> bool:
    """Whether the training loss is down to a level. Whether it is known must not decide: only where it is due."""
    return check_due(level, state.batch_loss) and state.train_loss <= level


def _awaits_threshold(stop: StopConfig, batch_loss: float) -> float:
    return stop.train_loss if check_due(stop.train_loss, batch_loss) else -1.0


def _down_to_error(stop: StopConfig, state: EpochFacts) -> bool:
    # Logits that have just overflown still have a largest one.
    return stop.train_error is not None and math.isfinite(state.train_loss) and state.train_error <= stop.train_error


# Of several that are met at once, the first is the stop reason.
CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        names.STOP_THRESHOLD,
        asked=lambda stop: stop.train_loss > 0,
        met=lambda stop, state: crossed(stop.train_loss, state),
        awaits=_awaits_threshold,
    ),
    Criterion(
        names.STOP_MARGIN,
        asked=lambda stop: stop.fraction > 0,
        met=lambda stop, state: state.share >= stop.fraction,
    ),
    Criterion(
        names.STOP_ERROR,
        asked=lambda stop: stop.train_error is not None,
        met=_down_to_error,
        awaits=lambda stop, batch_loss: math.inf,
    ),
)


def asked(stop: StopConfig) -> list[Criterion]:
    """The criteria that a config sets; none where a fixed number of epochs is wanted."""
    return [criterion for criterion in CRITERIA if criterion.asked(stop)]


def awaited(stop: StopConfig, batch_loss: float) -> float:
    """The highest training loss at which any criterion of a network can be met, as `Criterion.awaits`."""
    level = -1.0
    for criterion in CRITERIA:  # a loop: this is asked of every network after every epoch
        if criterion.asked(stop):
            level = max(level, criterion.awaits(stop, batch_loss))
    return level


def reason(stop: StopConfig, state: EpochFacts, last: bool) -> str | None:
    """Why a network ends here, or None."""
    if not math.isfinite(state.batch_loss) or (last and not math.isfinite(state.train_loss)):
        return names.STOP_DIVERGED
    for criterion in CRITERIA:
        if criterion.asked(stop) and criterion.met(stop, state):
            return criterion.name
    return names.STOP_MAX_EPOCHS if last else None


def converged(stop: StopConfig, stop_reason: str) -> str:
    """What the tag names.CONVERGED says of a network that ended for this reason."""
    if stop_reason == names.STOP_DIVERGED:
        return names.CONVERGED_NO
    if stop_reason != names.STOP_MAX_EPOCHS:
        return names.CONVERGED_YES
    return names.CONVERGED_NO if asked(stop) else names.CONVERGED_FIXED
