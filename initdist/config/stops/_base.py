"""What the file of a stopping rule holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import MISSING


@dataclass(frozen=True)
class EpochFacts:
    """A network at an epoch's end; NaN where a value was not computed, since none of its criteria needed it."""

    batch_loss: float  # mean over the epoch's samples, while they were trained on
    train_loss: float
    train_error: float
    share: float  # of the samples classified by at least stop.margin


def no_problems(stop: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Stop:
    """A rule by which training ends before the epoch limit. `stop` is the config's section, with all rules' fields.

    Config: the rule's own fields, each with a neutral value, by which it is not asked for.
    example: values of these by which it is asked for, for the tests.
    asked: whether a config sets the rule.
    met: whether a network meets it at an epoch's end. Called only where it is asked for.
    awaits: the training loss at or below which it can be met, given the epoch's mean batch loss: the loop computes the
    training loss and error only where they can matter. Infinite: at any loss. Negative, as no loss is: it does not
    read them, or cannot be met yet.
    problems: what is wrong with its fields together: key, rule, value.
    rank: of several rules that are met at once, the one with the lowest is the stop reason.
    """

    Config: type
    example: Mapping[str, Any]
    asked: Callable[[Any], bool]
    met: Callable[[Any, EpochFacts], bool]
    awaits: Callable[[Any, float], float]
    problems: Callable[[Any], Iterable[str]] = no_problems
    rank: int = 100

    def __post_init__(self) -> None:
        for spec in fields(self.Config):
            if "neutral" not in spec.metadata and spec.default != MISSING:  # it would change every network's identity
                raise ValueError(f"{spec.name} must have a neutral value, got none")
        if odd := self.example.keys() - {spec.name for spec in fields(self.Config)}:
            raise ValueError(f"EXAMPLE must have values of its fields, got {', '.join(sorted(odd))}")
