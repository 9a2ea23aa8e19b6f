"""At least `fraction` of the training samples classified by a margin of at least `margin`."""

from collections.abc import Iterator
from dataclasses import dataclass

from initdist.config.rules import between, finite, option, unset_or
from initdist.config.stops._base import EpochFacts

RANK = 2
EXAMPLE = {"margin": 0.1, "fraction": 0.8}


@dataclass
class Config:
    margin: float | None = option(None, unset_or(finite()), neutral=None)
    fraction: float = option(0.0, between(0, 1), neutral=0.0)


def asked(stop: Config) -> bool:
    return stop.fraction > 0


def met(stop: Config, facts: EpochFacts) -> bool:
    return facts.share >= stop.fraction


def awaits(stop: Config, batch_loss: float) -> float:
    return -1.0


def problems(stop: Config) -> Iterator[str]:
    if stop.margin is None and stop.fraction > 0:
        yield f"stop.margin must be given where stop.fraction is above 0 ({stop.fraction!r}), got None"
    if stop.margin is not None and stop.fraction == 0:
        yield f"stop.fraction must be above 0 where stop.margin is given ({stop.margin!r}), got {stop.fraction!r}"
