"""Blocks -> one self-contained HTML page: no script, no request, readable on light, dark and narrow screens."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from multirun_analysis.report.document import Block, Bullets, Code, Heading, Picture, Table, Text

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1c1e21; --soft: #5b616a; --line: #d9dce0; --tint: #f1f3f5;
  --accent: #0b6e99; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --ink: #e7e9ec; --soft: #a3a9b2; --line: #363b42;
  --tint: #1f2328; --accent: #6fc3e8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
.lead { font-size: 1.15rem; border-left: 4px solid var(--accent); padding-left: 1rem; margin: 0 0 1.25rem; }
.scroll { overflow-x: auto; max-height: 36rem; overflow-y: auto; border: 1px solid var(--line); border-radius: 6px;
  margin: .75rem 0 1.5rem; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: .9rem; margin: 1.25rem 0 0; max-width: 52rem; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
th { text-align: right; font-weight: 600; }
thead th { white-space: normal; vertical-align: bottom; position: sticky; top: 0; background: var(--tint);
  border-top: 0; }
th.name, td.name { text-align: left; font-weight: 400; }
.long { white-space: normal; min-width: 16rem; }
thead th.name { font-weight: 600; }
figure { margin: 1rem 0 2rem; }
figure .paper { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .5rem; overflow-x: auto; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
@media (max-width: 40rem) { figure img { max-width: none; width: 40rem; } }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem; max-width: 52rem; }
@media print { .scroll { max-height: none; overflow: visible; } }
pre { background: var(--tint); border-radius: 6px; padding: .75rem 1rem; overflow-x: auto; font-size: .85rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def render(title: str, blocks: Sequence[Block], images: Mapping[str, bytes]) -> str:
    """images: SVG bytes by figure name."""
    body = "\n".join(_block(block, images) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block, images: Mapping[str, bytes]) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Text(text, lead):
            return f'<p class="lead">{escape(text)}</p>' if lead else f"<p>{escape(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Picture(name, heading, caption):
            return _picture(name, heading, caption, images[name])
        case Table():
            return _table(block)


def _picture(name: str, heading: str, caption: str, svg: bytes) -> str:
    data = base64.b64encode(svg).decode()
    alternative = escape(f"{heading}. {caption}", quote=True)
    return (
        f'<h3 id="{escape(name, quote=True)}">{escape(heading)}</h3>\n<figure>\n<div class="paper" tabindex="0">'
        f'<img alt="{alternative}" src="data:image/svg+xml;base64,{data}"></div>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def _kind(cell: str, name: bool) -> str:
    """The class of a cell: names stand left, long texts wrap."""
    classes = [*(["name"] if name else []), *(["long"] if len(cell) > 45 else [])]
    return f' class="{" ".join(classes)}"' if classes else ""


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = [_kind(cell, column < table.names) for column, cell in enumerate(cells)]
        scope = ' scope="col"' if tag == "th" else ""
        texts = (f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(texts)}</tr>"

    caption = f'<p class="caption">{escape(table.caption)}</p>\n' if table.caption else ""
    body = "\n".join(row(cells, "td") for cells in table.rows)
    return (
        f'{caption}<div class="scroll" tabindex="0"><table>\n<thead>{row(table.head, "th")}</thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
