"""How a command's networks ended, and the sentence that says so."""

from __future__ import annotations

from dataclasses import dataclass


def counted(number: int, word: str) -> str:
    """`1 network`, `2 networks`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Counts:
    """Networks by their end. `diverged` and `unconverged` ones are finished too, and counted in `finished`."""

    finished: int = 0
    skipped: int = 0
    diverged: int = 0
    unconverged: int = 0  # came to stop.max_epochs before any stopping rule that was asked for
    failed: int = 0
    untrained: int = 0  # left when the command was stopped
    elsewhere: int = 0  # in training by another command
    going_on: int = 0  # in training by jobs of this command that outlive it

    @property
    def total(self) -> int:
        return self.finished + self.skipped + self.failed + self.untrained + self.elsewhere + self.going_on

    def sentence(self, seconds: float, where: str = "", whose: str = "") -> str:
        """The closing line; `where` says what failed and where its log is, `whose` who trains what others do."""
        stopped = f", {self.untrained} not trained" if self.untrained else ""
        stopped += f", {self.going_on} still in training by jobs of this command" if self.going_on else ""
        stopped += f", {self.elsewhere} in training by another command" if self.elsewhere else ""
        stopped += f" ({whose})" if whose else ""
        where = f" ({where})" if where and self.failed else ""
        whose = "its" if self.unconverged == 1 else "their"
        missed = f", {self.unconverged} at stop.max_epochs without reaching {whose} stopping rule"
        missed = missed if self.unconverged else ""
        plural = "" if self.total == 1 else "s"
        return (
            f"{self.total} network{plural}: {self.finished} finished ({self.diverged} diverged{missed}), "
            f"{self.skipped} skipped (finished before), {self.failed} failed{where}{stopped}, in {duration(seconds)}"
        )


@dataclass
class Measurements:
    """Networks by what was done to measure them after their training. Grows while that goes on."""

    total: int = 0
    complete: int = 0  # had everything
    measured: int = 0
    without: int = 0  # without weights
    refused: int = 0  # weights or start that are not what they should be
    failed: int = 0

    @property
    def left(self) -> int:
        """Not measured when the command was stopped."""
        return self.total - self.complete - self.measured - self.without - self.refused - self.failed

    def written(self) -> None:
        """One more is in the store."""
        self.measured += 1

    def sentence(self, seconds: float) -> str:
        """The closing line."""
        plural = "" if self.total == 1 else "s"
        return (
            f"{self.total} network{plural}: {self.measured} measured, {self.complete} had everything, "
            f"{self.without} lack weights, {self.refused} refused, {self.failed} failed"
            f"{f', {self.left} not measured' if self.left else ''}, in {duration(seconds)}"
        )


def duration(seconds: float) -> str:
    """`42s`, `3m 05s`, `2h 10m`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"
