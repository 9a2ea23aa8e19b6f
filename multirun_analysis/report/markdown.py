"""Blocks -> Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from multirun_analysis.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Folded,
    Heading,
    Link,
    Picture,
    Table,
    Text,
    text_of,
)


def render(title: str, blocks: Sequence[Block]) -> str:
    """The whole report; figures are linked as figures/NAME.png."""
    return "\n\n".join([f"# {escaped(title)}", *filter(None, map(_block, blocks))]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {escaped(text)}"
        case Text(text, lead):
            return f"**{escaped(text)}**" if lead else escaped(text)
        case Bullets(items):
            return "\n".join(f"- {escaped(item)}" for item in items)
        case Code(text):
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return f"{fence}\n{text}\n{fence}"
        case Picture(name, heading, caption):
            return f"### {escaped(heading)}\n\n![{escaped(heading)}](figures/{name}.png)\n\n{escaped(caption)}"
        case Folded(summary, inner, page_only):
            if page_only:
                return f"{escaped(summary)}: in report.html."
            parts = "\n\n".join(filter(None, map(_block, inner)))
            return f"<details>\n<summary>{escaped(summary)}</summary>\n\n{parts}\n\n</details>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rule = ["---" if column < table.names else "---:" for column in range(len(table.head))]
    lines = [list(map(escaped, table.head)), rule, *(list(map(_cell, row)) for row in table.rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{escaped(table.caption)}\n\n{text}" if table.caption else text


def _cell(cell: Cell) -> str:
    if isinstance(cell, Link) and re.match(r"https?://[^\s()<>]+$", cell.target):
        return f"[{escaped(cell.text)}]({cell.target})"
    return escaped(text_of(cell))


def escaped(text: str) -> str:
    """Text from the store cannot become markup."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
