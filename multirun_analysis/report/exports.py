"""League, claims and configurations as tables for others: CSV with plain numbers, LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from multirun_analysis.report import claim_tables, league_tables, tables
from multirun_analysis.report.blocks import Table, text_of
from multirun_analysis.report.inputs import Material, Report
from multirun_analysis.stats import ClaimResult

FOLDER = "tables"
# Columns of the league table that fit a page, and of the claims.
LEAGUE = ("place", "measure", "τ within", "Ψ", "partial", "gain")
CLAIMS = ("", "claim", "verdict", "mean effect")
SYMBOLS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "τ": r"$\tau$", "Ψ": r"$\Psi$", "θ": r"$\theta$", "α": r"$\alpha$", "β": r"$\beta$", "σ": r"$\sigma$",
    "−": r"$-$", "–": "--", "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "∞": r"$\infty$", "‖": r"$\|$",
    "²": r"$^2$", "₀": r"$_0$", "ₖ": r"$_k$", "ℓ": r"$\ell$", "√": r"$\surd$", "→": r"$\to$", "±": r"$\pm$",
    "“": "``", "”": "''", "’": "'", "…": r"\ldots{}", "Δ": r"$\Delta$", "λ": r"$\lambda$", "ρ": r"$\rho$",
    "γ": r"$\gamma$", "\xa0": "~",
}  # fmt: skip


def files(report: Report) -> dict[str, bytes]:
    """Name below the output directory -> content."""
    found = {}
    for material in report.parts:
        place = f"{FOLDER}/{material.folder}/" if material.folder else f"{FOLDER}/"
        for name, text in _of(material).items():
            found[place + name] = text.encode()
    return found


def _of(material: Material) -> dict[str, str]:
    results = material.results
    cells = tables.cells(results)
    found = {
        "configurations.csv": _csv(results.means.reset_index(drop=True)),
        "configurations.tex": latex(cells),
        "claims.csv": _csv(claims_frame(results.claims)),
        "claims.tex": latex(league_tables.chosen(claim_tables.table(results.claims), CLAIMS)),
    }
    if results.league:
        found["league.csv"] = _csv(results.league.table)
        found["league.tex"] = latex(league_tables.chosen(league_tables.main(results.league), LEAGUE))
    return found


def claims_frame(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """One row a claim: its verdict, the mean effect over its cells with the interval, in the claim's unit."""
    rows = [
        {
            "claim": one.claim.id,
            "statement": one.statement,
            "verdict": one.verdict,
            "effect": one.overall,
            "low": one.overall_interval.low if one.overall_interval else None,
            "high": one.overall_interval.high if one.overall_interval else None,
            "margin": one.claim.margin,
            "unit": one.claim.unit,
            "cells": len(one.cells),
            "tested": one.tested,
        }
        for one in results
    ]
    return pd.DataFrame(rows)


def latex(table: Table) -> str:
    """A `tabular` with booktabs' rules, in plain text mode: \\input it within a table environment."""
    columns = "l" * table.names + "r" * (len(table.head) - table.names)
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        _row(table.head),
        "\\midrule",
        *(_row([text_of(cell) for cell in row]) for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def escaped(text: str) -> str:
    """As LaTeX sets it in text mode; a letter that it would not know becomes a question mark."""
    return "".join(SYMBOLS.get(letter, letter if letter.isascii() or letter.isalpha() else "?") for letter in text)


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")
