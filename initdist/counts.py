"""How a command's networks ended, and the sentence that says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Networks by their end. `diverged` ones are finished too, and counted in `finished`."""

    finished: int = 0
    skipped: int = 0
    diverged: int = 0
    failed: int = 0
    untrained: int = 0  # left when the command was stopped
    elsewhere: int = 0  # in training by another command

    @property
    def total(self) -> int:
        return self.finished + self.skipped + self.failed + self.untrained + self.elsewhere

    def sentence(self, seconds: float, where: str = "") -> str:
        """The closing line; `where` says what failed and where its log is."""
        stopped = f", {self.untrained} not trained" if self.untrained else ""
        stopped += f", {self.elsewhere} in training by another command" if self.elsewhere else ""
        where = f" ({where})" if where and self.failed else ""
        plural = "" if self.total == 1 else "s"
        return (
            f"{self.total} network{plural}: {self.finished} finished ({self.diverged} diverged), "
            f"{self.skipped} skipped (finished before), {self.failed} failed{where}{stopped}, in {duration(seconds)}"
        )


def duration(seconds: float) -> str:
    """`42s`, `3m 05s`, `2h 10m`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"
