"""A training error this low."""

import math
from dataclasses import dataclass

from initdist.config.rules import from_below, option, unset_or
from initdist.config.stops._base import EpochFacts

RANK = 3
EXAMPLE = {"train_error": 0.2}


@dataclass
class Config:
    train_error: float | None = option(None, unset_or(from_below(0, 1)), neutral=None)


def asked(stop: Config) -> bool:
    return stop.train_error is not None


def met(stop: Config, facts: EpochFacts) -> bool:
    # Logits that have just overflown still have a largest one.
    return stop.train_error is not None and math.isfinite(facts.train_loss) and facts.train_error <= stop.train_error


def awaits(stop: Config, batch_loss: float) -> float:
    return math.inf
