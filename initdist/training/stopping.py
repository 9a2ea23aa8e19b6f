"""When a network ends: by the rules of `config/stops`, at the epoch limit, or where its loss is no number.

All that is said of the rules elsewhere is asked of them here: why a network ended, for which training losses the loop
must look, and whether a network has converged.
"""

from __future__ import annotations

import math

from initdist import names
from initdist.config.schema import StopConfig
from initdist.config.stops import EpochFacts, in_order
from initdist.config.stops.threshold import check_due, crossed

__all__ = ["EpochFacts", "asked", "awaited", "check_due", "converged", "crossed", "reason"]


def asked(stop: StopConfig) -> list[str]:
    """The names of the rules that a config sets; none where a fixed number of epochs is wanted."""
    return [name for name, rule in in_order() if rule.asked(stop)]


def awaited(stop: StopConfig, batch_loss: float) -> float:
    """The highest training loss at which any rule of a network can be met, as `Stop.awaits`."""
    level = -1.0
    for _, rule in in_order():  # a loop: this is asked of every network after every epoch
        if rule.asked(stop):
            level = max(level, rule.awaits(stop, batch_loss))
    return level


def reason(stop: StopConfig, state: EpochFacts, last: bool) -> str | None:
    """Why a network ends here, or None."""
    if not math.isfinite(state.batch_loss) or (last and not math.isfinite(state.train_loss)):
        return names.STOP_DIVERGED
    for name, rule in in_order():
        if rule.asked(stop) and rule.met(stop, state):
            return name
    return names.STOP_MAX_EPOCHS if last else None


def converged(stop: StopConfig, stop_reason: str) -> str:
    """What the tag names.CONVERGED says of a network that ended for this reason."""
    if stop_reason == names.STOP_DIVERGED:
        return names.CONVERGED_NO
    if stop_reason != names.STOP_MAX_EPOCHS:
        return names.CONVERGED_YES
    return names.CONVERGED_NO if asked(stop) else names.CONVERGED_FIXED
