"""A report as a list of blocks; Markdown and HTML render the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; lead: the answer, set larger."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """rows of texts; the first `names` columns are names, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    names: int = 1

    def without(self, column: str) -> Table:
        """The table less a column if that is empty in every row."""
        place = list(self.head).index(column)
        if any(row[place] for row in self.rows):
            return self
        rows = [[cell for number, cell in enumerate(row) if number != place] for row in self.rows]
        head = [name for name in self.head if name != column]
        return Table(head, rows, self.caption, self.names - (place < self.names))


@dataclass(frozen=True)
class Picture:
    """name: file name without extension under figures/."""

    name: str
    title: str
    caption: str


Block = Heading | Text | Bullets | Code | Table | Picture
