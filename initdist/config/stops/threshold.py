"""A training loss this low."""

from dataclasses import dataclass

from omegaconf import MISSING

from initdist.config.rules import at_least, option
from initdist.config.stops._base import EpochFacts

RANK = 1
EXAMPLE = {"train_loss": 0.5}
# The training loss is not held against a level while the epoch's mean batch loss exceeds this multiple of it.
CHECK_FACTOR = 10.0


@dataclass
class Config:
    train_loss: float = option(MISSING, at_least(0))  # 0 = never


def asked(stop: Config) -> bool:
    return stop.train_loss > 0


def met(stop: Config, facts: EpochFacts) -> bool:
    return crossed(stop.train_loss, facts)


def awaits(stop: Config, batch_loss: float) -> float:
    return stop.train_loss if check_due(stop.train_loss, batch_loss) else -1.0


def check_due(level: float, batch_loss: float) -> bool:
    """Whether a training loss may have come down to a level at all."""
    return batch_loss <= CHECK_FACTOR * level


def crossed(level: float, facts: EpochFacts) -> bool:
    """Whether the training loss is down to a level. Whether it is known must not decide: only where it is due."""
    return check_due(level, facts.batch_loss) and facts.train_loss <= level
