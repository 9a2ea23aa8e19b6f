"""What a config field declares: its default, the rule its value obeys, and its part in a network's identity."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A condition on a value and the words for it: `model.width must be at least 1, got 0`."""

    text: str  # empty where the options say it
    holds: Callable[[Any], bool]
    options: Collection[str] = ()  # where only these hold
    registry: str = ""  # where these are implemented, `package.module.MAPPING`; see `registry.check_options`

    @property
    def words(self) -> str:
        return self.text or "one of " + ", ".join(self.options)


def at_least(low: float) -> Rule:
    return Rule(f"at least {low:g}", lambda v: math.isfinite(v) and v >= low)


def above(low: float) -> Rule:
    return Rule(f"a finite number above {low:g}", lambda v: math.isfinite(v) and v > low)


def between(low: float, high: float) -> Rule:
    return Rule(f"between {low:g} and {high:g}", lambda v: low <= v <= high)


def from_below(low: float, high: float) -> Rule:
    return Rule(f"at least {low:g} and below {high:g}", lambda v: low <= v < high)


def finite() -> Rule:
    return Rule("a finite number", math.isfinite)


def unset_or(rule: Rule) -> Rule:
    return Rule(f"null or {rule.words}", lambda v: v is None or rule.holds(v))


def one_of(*values: str, registry: str = "") -> Rule:
    """registry: the mapping or sequence that implements these names, so that none is allowed which no code knows."""
    return Rule("", lambda v: v in values, values, registry)


def matching(text: str, holds: Callable[[Any], bool]) -> Rule:
    return Rule(text, holds)


_NO_NEUTRAL = object()


def option(
    default: Any,
    rule: Rule | None = None,
    *,
    identity: bool = True,
    neutral: Any = _NO_NEUTRAL,
    shown: bool | None = None,
) -> Any:
    """A config field: its default, its rule, and what it means for a network's identity.

    shown: whether it is a param of the network's run; None: where it is in the identity.
    """
    metadata: dict[str, Any] = {"rule": rule, "identity": identity, "shown": identity if shown is None else shown}
    if neutral is not _NO_NEUTRAL:
        metadata["neutral"] = neutral
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
