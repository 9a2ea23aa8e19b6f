"""Claims -> tables of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multirun_analysis import labels
from multirun_analysis.report.blocks import Badge, Block, Bullets, Cell, Folded, Link, Table
from multirun_analysis.stats import ClaimResult
from multirun_analysis.stats.claims.results import VERDICTS
from multirun_analysis.stats.claims.words import limited, scope, sign

FIGURES = {"C3": "distance_against_train_size", "C4": "distance_against_noise"}


def blocks(results: tuple[ClaimResult, ...], drawn: Callable[[str], str | None]) -> list[Block]:
    """The claims and, folded, their cells. drawn: figure name -> its place in the report, None if it is left out."""
    parts: list[Block] = [table(results, drawn)]
    if any(item.cells for item in results):
        units = [f"{item.claim.id}: effect = {item.claim.unit}." for item in results if item.cells]
        if any(cell.falling is not None for item in results for cell in item.cells):
            units.append("Gap: percentage points per doubling of n, with its two-sided 95% interval.")
        said = [item.sentence for item in results if item.cells]
        parts.append(Folded("Claims in words", [Bullets(said)]))
        parts.append(Folded("Claims cell by cell", [_cells(results), Bullets(units)]))
    return parts


def table(results: tuple[ClaimResult, ...], drawn: Callable[[str], str | None] = lambda name: None) -> Table:
    """One row a claim."""
    rows: list[list[Cell]] = []
    for item in results:
        figure = drawn(item.claim.figure or FIGURES.get(item.claim.id, ""))
        rows.append(
            [
                item.claim.id,
                item.statement,
                _badge(item.verdict),
                labels.interval(item.overall, item.overall_interval),
                _limit(item.overall_limit, item.overall),
                "–" if item.smallest is None or item.largest is None else labels.span((item.smallest, item.largest)),
                f"{sign(item.claim)} {labels.value(item.claim.margin)}",
                " / ".join(str(item.counts.get(verdict, 0)) for verdict in VERDICTS),
                Link("figure", f"#{figure}") if figure else "",
                item.note or (scope(item) if item.tested < len(item.cells) else ""),
            ]
        )
    head = ["", "claim", "verdict", "mean effect", "limit", "range", "margin", "cells + / − / ? / untested", "figure"]
    caption = (
        "Claims, each tested as stated before any result: on this grid, seeds as replicates, one-sided at 5%, Holm "
        "over cells. Supported: every cell is tested and supports it; contradicted: one cell or more lies on the other "
        "side. A claim that says “can” needs one cell. Mean, with its two-sided 95% interval and its one-sided 95% "
        "limit, and range are over the cells tested, or over all cells if none is."
    )
    return Table([*head, "note"], rows, caption, 3).without("note").without("figure")


def _badge(verdict: str) -> Badge:
    return Badge(verdict, {"supported": "yes", "contradicted": "no"}.get(verdict, "open"))


def _cells(results: tuple[ClaimResult, ...]) -> Table:
    rows: list[list[Cell]] = [
        [
            item.claim.id,
            labels.cell(cell.cell),
            labels.long(cell.quantity),
            labels.interval(cell.effect, cell.interval),
            _limit(cell.limit, cell.effect),
            "" if cell.falling is None else labels.interval(cell.falling, cell.falling_interval),
            _badge(cell.verdict),
            labels.number(cell.p_for, 2),
            labels.number(cell.p_against, 2),
            f"{cell.seeds} ({cell.incomplete_seeds} incomplete)" if cell.incomplete_seeds else str(cell.seeds),
            ", ".join(map(labels.value, cell.levels)),
            cell.note,
        ]
        for item in results
        for cell in item.cells
    ]
    heads = ["", "cell", "quantity", "effect", "limit", "gap", "verdict", "p for", "p against", "seeds", "levels"]
    caption = (
        "Claims cell by cell: effects with two-sided 95% intervals, the one-sided 95% limit that a test goes by, p "
        "values after Holm's correction."
    )
    return Table([*heads, "note"], rows, caption, 3, sortable=True).without("note").without("gap")


def _limit(value: float | None, effect: float | None) -> str:
    """The one-sided limit: `< 0.05`."""
    return "–" if value is None or effect is None else limited(value, effect)


def compared(results: Mapping[str, tuple[ClaimResult, ...]]) -> Table:
    """The verdicts on each claim and its mean effect, experiment by experiment."""
    first = next(iter(results.values()))
    rows: list[list[Cell]] = []
    for place, item in enumerate(first):
        statements = dict.fromkeys(each[place].statement for each in results.values())
        line: list[Cell] = [item.claim.id, next(iter(statements)) if len(statements) == 1 else item.claim.statement]
        for each in results.values():
            other = each[place]
            line += [_badge(other.verdict), labels.interval(other.overall, other.overall_interval)]
        rows.append(line)
    head = ["", "claim", *(f"{name}: {what}" for name in results for what in ("verdict", "mean effect"))]
    return Table(head, rows, "Claims side by side.", 2)
