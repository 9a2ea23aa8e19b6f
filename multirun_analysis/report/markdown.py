"""Blocks -> Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from multirun_analysis.report.document import Block, Bullets, Code, Heading, Picture, Table, Text


def render(title: str, blocks: Sequence[Block]) -> str:
    """The whole report; figures are linked as figures/NAME.png."""
    return "\n\n".join([f"# {_escape(title)}", *(_block(block) for block in blocks)]) + "\n"


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
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rule = ["---" if column < table.names else "---:" for column in range(len(table.head))]
    lines = [list(map(_escape, table.head)), rule, *(list(map(_escape, row)) for row in table.rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_escape(table.caption)}\n\n{text}" if table.caption else text


def _escape(text: str) -> str:
    """Text from the store cannot become markup."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
