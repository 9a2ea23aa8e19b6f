"""Claims -> tables of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from multirun_analysis import labels
from multirun_analysis.report.blocks import Badge, Block, Bullets, Cell, Folded, Link, Table
from multirun_analysis.stats import ClaimResult
from multirun_analysis.stats.claims.results import VERDICTS
from multirun_analysis.stats.claims.words import bound, limited, scope

FIGURES = {"C3": "distance_against_train_size", "C4": "distance_against_noise"}


def blocks(results: tuple[ClaimResult, ...], drawn: Callable[[str], str | None]) -> list[Block]:
    """The claims and, folded, their cells. drawn: figure name -> its place in the report, None if it is left out."""
    parts: list[Block] = [table(results, drawn)]
    single = _with_parts(results)
    if any(item.cells for item in single):
        units = [f"{item.claim.id}: effect = {item.claim.unit}." for item in single if item.cells]
        if any(cell.falling is not None for item in single for cell in item.cells):
            units.append("Gap: percentage points per doubling of n, with its two-sided 95% interval.")
        if any(cell.growing is not None for item in single for cell in item.cells):
            units.append("Growth: exponent of the quantity that must also grow, with its two-sided 95% interval.")
        said = [item.sentence for item in results if item.whole]
        parts.append(Folded("Claims in words", [Bullets(said)]))
        parts.append(Folded("Claims cell by cell", [_cells(single), Bullets(units)]))
    return parts


def table(results: tuple[ClaimResult, ...], drawn: Callable[[str], str | None] = lambda name: None) -> Table:
    """One row a claim."""
    rows: list[list[Cell]] = []
    single = _with_parts(results)
    for item in single:
        figure = drawn(item.claim.figure or FIGURES.get(item.claim.id, ""))
        rows.append(
            [
                item.claim.id,
                f"{item.statement} ({note}.)" if (note := _note(item)) else item.statement,
                _badge(item.verdict),
                labels.interval(item.overall, item.overall_interval),
                _limit(item.overall_limit, item.overall),
                "–" if item.smallest is None or item.largest is None else labels.span((item.smallest, item.largest)),
                "–" if item.parts else bound(item.claim),
                " / ".join(str(item.counts.get(verdict, 0)) for verdict in VERDICTS),
                Link("figure", f"#{figure}") if figure else "",
            ]
        )
    head = ["", "claim", "verdict", "mean effect", "limit", "range", "margin", "cells + / − / ? / untested", "figure"]
    caption = (
        "Claims, each tested as stated before any result. Tests are on this grid, with seeds as replicates. They are "
        "one-sided at 5%, with Holm’s correction over cells. Supported: every cell is tested and supports the claim. "
        "Contradicted: one cell or more lies on the other side. A claim that says “can” needs one cell. The mean (with "
        "its two-sided 95% interval and its one-sided 95% limit) and the range are over the cells tested, or over all "
        "cells if none is tested."
    )
    if any(item.parts for item in results):
        caption += (
            " The parts of a claim follow it. It is supported if all of them are. Holm’s correction is over all cells."
        )
    return Table(head, rows, caption, 3).without("figure")


def _with_parts(results: Sequence[ClaimResult]) -> list[ClaimResult]:
    """Each claim, followed by its parts."""
    return [each for item in results for each in (item, *item.parts)]


def _note(item: ClaimResult) -> str:
    """Why a claim cannot be tested, or in what it is not."""
    incomplete = scope(item) if item.tested < item.whole else ""
    censored = labels.count(len(item.censored), "censored cell") if item.censored else ""
    return item.note or "; ".join(filter(None, (incomplete, censored)))


def _badge(verdict: str) -> Badge:
    return Badge(verdict, {"supported": "yes", "contradicted": "no"}.get(verdict, "open"))


def _cells(results: Sequence[ClaimResult]) -> Table:
    rows: list[list[Cell]] = [
        [
            item.claim.id,
            labels.cell(cell.cell),
            labels.long(cell.quantity),
            labels.interval(cell.effect, cell.interval),
            _limit(cell.limit, cell.effect),
            "" if cell.falling is None else labels.interval(cell.falling, cell.falling_interval),
            "" if cell.growing is None else labels.interval(cell.growing, cell.growing_interval),
            _badge(cell.verdict),
            labels.chance(cell.p_for),
            labels.chance(cell.p_against),
            f"{cell.seeds} ({cell.incomplete_seeds} incomplete)" if cell.incomplete_seeds else str(cell.seeds),
            ", ".join(map(labels.value, cell.levels)),
            cell.note,
        ]
        for item in results
        for cell in item.cells
    ]
    heads = ["", "cell", "quantity", "effect", "limit", "gap", "growth", "verdict"]
    heads += ["p for", "p against", "seeds", "levels"]
    caption = (
        "Claims cell by cell: effects with two-sided 95% intervals, the one-sided 95% limit that the test goes by, and "
        "p values after Holm's correction."
    )
    return Table([*heads, "note"], rows, caption, 3, sortable=True).without("note").without("gap").without("growth")


def _limit(value: float | None, effect: float | None) -> str:
    """The one-sided limit: `< 0.05`."""
    return "–" if value is None or effect is None else limited(value, effect)


def compared(results: Mapping[str, tuple[ClaimResult, ...]]) -> Table:
    """The verdicts on each claim and its mean effect, experiment by experiment."""
    by_id = [{item.claim.id: item for item in _with_parts(each)} for each in results.values()]
    rows: list[list[Cell]] = []
    for name in dict.fromkeys(name for each in by_id for name in each):
        found = [each.get(name) for each in by_id]
        there = [item for item in found if item is not None]
        statements = dict.fromkeys(item.statement for item in there)
        line: list[Cell] = [name, next(iter(statements)) if len(statements) == 1 else there[0].claim.statement]
        for item in found:
            line += [_badge(item.verdict), labels.interval(item.overall, item.overall_interval)] if item else ["–", "–"]
        rows.append(line)
    head = ["", "claim", *(f"{name}: {what}" for name in results for what in ("verdict", "mean effect"))]
    return Table(head, rows, "Claims side by side.", 2)
