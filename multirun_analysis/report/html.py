"""Blocks -> one self-contained HTML page that makes no request, and can be read without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from multirun_analysis.report.blocks import (
    Badge,
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

STYLE, SCRIPT = "page.css", "page.js"
TALL = 16  # rows: longer tables scroll inside themselves
DIALOG = (
    '<dialog aria-label="Figure"><div class="bar"><span class="title"></span>'
    '<form method="dialog"><button autofocus>Close</button></form></div>'
    '<div class="sheet" tabindex="0"><img alt="" src="data:,"></div></dialog>'
)


def render(title: str, blocks: Sequence[Block], images: Mapping[str, bytes]) -> str:
    """images: SVG bytes by figure name."""
    style, script = (_asset(name) for name in (STYLE, SCRIPT))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    first = next((at for at, block in enumerate(blocks) if isinstance(block, Heading)), len(blocks))
    opening, body = ("\n".join(_block(block, images) for block in part) for part in (blocks[:first], blocks[first:]))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f'<body>\n<a class="skip" href="#content">Skip to the content</a>\n<main>\n<h1>{escape(title)}</h1>\n'
        f'{opening}\n{_contents(blocks)}<div id="content">\n{body}\n</div>\n</main>\n{DIALOG}\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source expression that allows just this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def anchor(text: str) -> str:
    """The id of a heading."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


def _contents(blocks: Sequence[Block]) -> str:
    heads = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = "".join(f'<li><a href="#{anchor(head)}">{escape(head)}</a></li>' for head in heads)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n' if links else ""


def _block(block: Block, images: Mapping[str, bytes]) -> str:
    match block:
        case Heading(text, level):
            return f'<h{level} id="{anchor(text)}">{escape(text)}</h{level}>'
        case Text(text, lead):
            return f'<p class="lead">{escape(text)}</p>' if lead else f"<p>{escape(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Picture(name, heading, caption):
            return _picture(name, heading, caption, images[name])
        case Folded(summary, inner):
            parts = "\n".join(_block(part, images) for part in inner)
            return f"<details><summary>{escape(summary)}</summary>\n{parts}\n</details>"
        case Table():
            return _table(block)


def _picture(name: str, heading: str, caption: str, svg: bytes) -> str:
    data = base64.b64encode(svg).decode()
    alternative = escape(f"{heading}. {caption}", quote=True)
    return (
        f'<h3 id="{escape(name, quote=True)}">{escape(heading)}</h3>\n<figure>\n<div class="sheet">'
        f'<img alt="{alternative}" data-title="{escape(heading, quote=True)}" '
        f'src="data:image/svg+xml;base64,{data}"></div>\n<figcaption>{escape(caption)}</figcaption>\n</figure>'
    )


def _cell(cell: Cell) -> str:
    match cell:
        case Link(text, target) if re.match(r"https?://", target):
            return (
                f'<a href="{escape(target, quote=True)}" target="_blank" rel="noopener noreferrer">{escape(text)}</a>'
            )
        case Link(text, target) if target.startswith("#"):
            return f'<a href="{escape(target, quote=True)}">{escape(text)}</a>'
        case Badge(text, kind):
            return f'<span class="badge {escape(kind, quote=True)}">{escape(text)}</span>'
    return escape(text_of(cell))


def _class(cell: Cell, name: bool) -> str:
    """The class of a cell: names stand left, long texts wrap."""
    classes = [*(["name"] if name else []), *(["long"] if len(text_of(cell)) > 45 else [])]
    names = " ".join(classes)
    return f' class="{names}"' if names else ""


def _table(table: Table) -> str:
    def row(cells: Sequence[Cell], number: int) -> str:
        parts = []
        for column, cell in enumerate(cells):
            tag, scope = ("th", ' scope="row"') if column == 0 else ("td", "")
            parts.append(f"<{tag}{scope}{_class(cell, column < table.names)}>{_cell(cell)}</{tag}>")
        kind = ' class="strong"' if number in table.strong else ""
        return f"<tr{kind}>{''.join(parts)}</tr>"

    head = "".join(
        f'<th scope="col"{_class("", column < table.names)}>{escape(text)}</th>'
        for column, text in enumerate(table.head)
    )
    caption = f'<p class="caption">{escape(table.caption)}</p>\n' if table.caption else ""
    body = "\n".join(row(cells, number) for number, cells in enumerate(table.rows))
    kind = ' class="sortable"' if table.sortable else ""
    label = escape(table.caption.partition(".")[0] or ", ".join(table.head[:3]), quote=True)
    scroll = "scroll tall" if len(table.rows) > TALL else "scroll"
    return (
        f'{caption}<div class="{scroll}" tabindex="0" role="region" aria-label="{label}"><table{kind}>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
