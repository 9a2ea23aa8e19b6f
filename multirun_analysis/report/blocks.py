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
    lines: Sequence[str]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Link:
    """A cell that leads somewhere: http(s), or #name of a figure in the report."""

    text: str
    target: str


@dataclass(frozen=True)
class Badge:
    """A cell with a verdict; kind: yes | no | open."""

    text: str
    kind: str = "open"


Cell = str | Link | Badge


@dataclass(frozen=True)
class Table:
    """rows of cells; the first `names` columns are names, the others numbers. strong: rows to be set off."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    names: int = 1
    sortable: bool = False
    strong: frozenset[int] = frozenset()

    def without(self, column: str) -> Table:
        """The table less a column if that is empty in every row."""
        place = list(self.head).index(column)
        if any(row[place] for row in self.rows):
            return self
        rows = [[cell for number, cell in enumerate(row) if number != place] for row in self.rows]
        head = [name for name in self.head if name != column]
        return Table(head, rows, self.caption, self.names - (place < self.names), self.sortable, self.strong)


@dataclass(frozen=True)
class Picture:
    """name: file name without extension under figures/."""

    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Folded:
    """Blocks that a reader opens if they want to; page_only: left out of Markdown, which then says where they are."""

    summary: str
    blocks: Sequence[Block]
    page_only: bool = False


Block = Heading | Text | Bullets | Code | Table | Picture | Folded


def text_of(cell: Cell) -> str:
    """A cell's text."""
    return cell if isinstance(cell, str) else cell.text
