"""Blocks -> one self-contained HTML page that makes no request, and can be read without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from multirun_analysis.figures.hover import Point
from multirun_analysis.report.blocks import Block, Heading, text_of

TEMPLATE, STYLE, SCRIPT = "page.html", "page.css", "page.js"


def render(
    title: str,
    blocks: Sequence[Block],
    images: Mapping[str, bytes],
    points: Mapping[str, Sequence[Point]] | None = None,
) -> str:
    """images: SVG bytes by figure name; points: what is told of those whoever points at them."""
    first = next((at for at, block in enumerate(blocks) if isinstance(block, Heading)), len(blocks))
    heads = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    return _template().render(
        title=title, opening=blocks[:first], body=blocks[first:], contents=heads, images=images, points=points or {}
    )


def anchor(text: str) -> str:
    """The id of a heading."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


@cache
def _template() -> Template:
    """Everything from the store is escaped."""
    environment = Environment(
        loader=PackageLoader("multirun_analysis", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"base64": _base64, "source_hash": _source_hash}
    loader = environment.loader
    assert loader is not None
    style, script = (loader.get_source(environment, name)[0] for name in (STYLE, SCRIPT))
    environment.globals |= {
        "anchor": anchor,
        "kind_of": lambda item: type(item).__name__,
        "text_of": text_of,
        "style": style,
        "script": script,
    }
    return environment.get_template(TEMPLATE)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _source_hash(text: str) -> str:
    """The source expression of a content policy that allows just this inline text."""
    return f"sha256-{_base64(hashlib.sha256(text.encode()).digest())}"
