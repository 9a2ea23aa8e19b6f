"""What a file of measures holds: functions under `@measure`, which registers each under its own name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasureFile:
    """Nothing by a fixed name."""
