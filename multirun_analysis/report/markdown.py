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
    return "\n\n".join([f"# {_escape(title)}", *filter(None, map(_block, blocks))]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_escape(text)}"
        case Text(text, lead):
            return f"**{_escape(text)}**" if lead else _escape(text)
        case Bullets(items):
            return "\n".join(f"- {_escape(item)}" for item in items)
        case Code(text):
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return f"{fence}\n{text}\n{fence}"
        case Picture(name, heading, caption):
            return f"### {_escape(heading)}\n\n![{_escape(heading)}](figures/{name}.png)\n\n{_escape(caption)}"
        case Folded(summary, inner, page_only):
            if page_only:
                return f"{_escape(summary)}: in report.html."
            parts = "\n\n".join(filter(None, map(_block, inner)))
            return f"<details>\n<summary>{_escape(summary)}</summary>\n\n{parts}\n\n</details>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rule = ["---" if column < table.names else "---:" for column in range(len(table.head))]
    lines = [list(map(_escape, table.head)), rule, *(list(map(_cell, row)) for row in table.rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_escape(table.caption)}\n\n{text}" if table.caption else text


def _cell(cell: Cell) -> str:
    if isinstance(cell, Link) and re.match(r"https?://[^\s()<>]+$", cell.target):
        return f"[{_escape(cell.text)}]({cell.target})"
    return _escape(text_of(cell))


def _escape(text: str) -> str:
    """Text from the store cannot become markup."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
