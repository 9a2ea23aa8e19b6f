"""The answer in five sentences, and where it differs from the paper: made from the verdicts, not written by hand."""

from __future__ import annotations

from collections.abc import Mapping

from multirun_analysis import labels
from multirun_analysis.paper.findings import Findings, Json, cells, effect, estimate, interval

# Claim -> as the second half of "that ...": what is said if it is supported, and if it is contradicted.
CLAUSES = {
    "C1a": ("the distance does not grow with width", "the distance grows with width in some cells"),
    "C1b": ("the distance shrinks as networks get wider", "the distance does not shrink everywhere with width"),
    "C2": (
        "the distance from the origin grows with width",
        "the distance from the origin does not grow with width in every cell",
    ),
    "C3": (
        "the distance grows with the number of samples",
        "the distance does not always grow with the number of samples",
    ),
    "C4": ("it grows with corrupted labels", "it does not always grow with corrupted labels"),
    "C5": ("the test error does not grow with width", "the test error grows with width in some cells"),
    "C6": (
        "the capacity of a ball around the initialization does not change with width, while that of a ball around the "
        "origin grows",
        "the capacity of a ball around the initialization {moves} with width",
    ),
    "C7": (
        "bounds built on the distance can grow with the number of samples while the gap falls",
        "no bound built on the distance grows with the number of samples while the gap falls",
    ),
    "O1a": (
        "a network's linearized twin, too, moves less far with width, and farther with more samples and more noise",
        "a network's linearized twin does not move with width, samples and noise as the network does",
    ),
    "O1b": (
        "a network moves no farther than its linearized twin",
        "a network can move farther than its linearized twin",
    ),
    "O2": (
        "moving the distance on purpose moves the gap as much as observation says",
        "moving the distance on purpose does not move the gap as much as observation says",
    ),
    "O2'": (
        "a ball and a decay that hold a network at the same distance leave it the same gap",
        "a ball and a decay that hold a network at the same distance leave it different gaps",
    ),
}
SHOWN = 6  # cells that are named
SENTENCES = (
    ("Width", ("C1b", "C2")),
    ("Data", ("C3", "C4", "C5")),
    ("Capacity and bounds", ("C6", "C7")),
    ("The open questions", ("O1a", "O1b", "O2", "O2'")),
)


def answer(parts: Mapping[str, Findings], claims: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Up to five sentences, each with its subject; of claims that no part has judged, nothing."""
    said = []
    for subject, names in SENTENCES:
        clauses = [_clause(name, claims[name]) for name in names if name in claims]
        if clauses:
            said.append((subject, f"{labels.capital('; '.join(clauses))}."))
    if "league" in parts and parts["league"].results["league"]:
        said.append(("The distance among all measures", _league(parts["league"])))
    return said


def _clause(name: str, claim: Json) -> str:
    """`the distance shrinks as networks get wider (C1b: −0.09 [−0.10, −0.08])`; with the cells, if they differ."""
    supported, contradicted = CLAUSES[name]
    number = name if claim["smallest"] is None else f"{name}: {effect(claim)}"
    if sum(count > 0 for count in claim["counts"].values()) > 1 or claim["verdict"] == "contradicted":
        number = f"{number}; cells: {cells(claim)}"
    if claim["verdict"] == "supported":
        return f"{supported} ({number})"
    if claim["verdict"] == "contradicted":
        return f"{contradicted.format(moves=_moves(claim))} ({number})"
    return f"it is undecided whether {supported} ({number})"


def _moves(claim: Json) -> str:
    """What a quantity that should stay does in the cells that contradict it."""
    signs = {cell["effect"] > 0 for cell in claim["cells"] if cell["verdict"] == "contradicted"}
    return "changes" if len(signs) != 1 else "grows" if signs.pop() else "falls"


def _league(part: Findings) -> str:
    table = part.league
    kinds = dict.fromkeys(verdict for _, verdict, _ in table.ladder)
    rungs = [f"{kind}: {labels.together([rung for rung, own, _ in table.ladder if own == kind])}" for kind in kinds]
    each = f"Of the rungs of the ladder, {'; '.join(rungs)}"
    ladder = each if len(kinds) > 1 else f"All rungs of the ladder are {next(iter(kinds))}"
    return (
        f"Over {table.table['configurations']} configurations the distance has {table.place} measures by rank "
        f"correlation with the gap within groups of equal data and noise ({estimate(table.distance['tau_within'])}; a "
        f"model of the hyperparameters, fitted to the gap, has {estimate(table.hyperparameters['tau_within'])}). "
        f"{table.by_axis()} {ladder}."
    )


def standing(claims: Mapping[str, Json], verdict: str) -> list[tuple[str, str]]:
    """The claims with this verdict: name, and in words how they stand, with the cells on the other side."""
    found = []
    for name, claim in claims.items():
        if claim["verdict"] == verdict:
            found.append((name, f"{labels.capital(_clause(name, claim))}.{_other_side(claim)}"))
    return found


def _other_side(claim: Json) -> str:
    """The cells that go against a claim, the first few by name."""
    every = [*claim["cells"], *(cell for part in claim["parts"] for cell in part["cells"])]
    against = [cell for cell in every if cell["verdict"] == "contradicted"]
    if not against or len(claim["bounds"]):  # those of bounds are in the verdict in full
        return ""
    named = "; ".join(f"{labels.cell(cell['cell'])}: {interval(cell)}" for cell in against[:SHOWN])
    more = f"; and {len(against) - SHOWN} more" if len(against) > SHOWN else ""
    return f" Against it: {named}{more}."
