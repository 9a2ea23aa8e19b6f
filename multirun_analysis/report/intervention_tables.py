"""Interventions on the distance -> tables of texts."""

from __future__ import annotations

from multirun_analysis import labels
from multirun_analysis.report.blocks import Block, Cell, Folded, Table, Text
from multirun_analysis.stats.claims.interventions import Arm, Interventions

SCALE = 100
CONTROLS = {
    "distance": "as trained",
    "rescaled_distance": "first layer times 2, the next one over 2",
    "permuted_distance": "hidden units permuted (root mean square over all permutations)",
}


def blocks(found: Interventions) -> list[Block]:
    """What was done to the distance, what the gap did, and the control."""
    moved, censored = [arm for arm in found.arms if arm.strength is not None], len(found.censored)
    lead = f"{labels.count(len(moved), 'arm')} in {labels.count(len(found.slopes), 'cell')}, apart from free networks. "
    lead += f"{censored} censored, because under 80% of the seeds reach the loss threshold there."
    return [Text(lead), _slopes(found), Folded("Arms, cell by cell", [_arms(found.arms)]), _control(found)]


def _slopes(found: Interventions) -> Table:
    rows: list[list[Cell]] = [
        [
            labels.cell(one.cell),
            labels.interval(one.intervened, one.intervened_interval, SCALE),
            labels.interval(one.observed, one.observed_interval, SCALE),
        ]
        for one in found.slopes
    ]
    caption = (
        "Slope of the gap on the distance, in percentage points per unit of distance, with 95% intervals over seeds. "
        "By intervention: over init_ball, free and init_shell, within seeds. By observation: over the free "
        "configurations of the group."
    )
    return Table(["cell", "by intervention", "by observation"], rows, caption)


def _arms(arms: tuple[Arm, ...]) -> Table:
    rows: list[list[Cell]] = [
        [
            labels.cell(one.cell),
            one.arm,
            "" if one.strength is None else f"{labels.value(one.strength)} {one.unit}".strip(),
            f"{one.reached} of {one.seeds}" + (" (censored)" if one.censored else ""),
            labels.number(one.distance),
            labels.number(None if one.gap is None else SCALE * one.gap),
        ]
        for one in arms
    ]
    head = ["cell", "arm", "strength", "seeds at the threshold", "distance", "gap"]
    return Table(head, rows, "Means over the seeds that reached the threshold; gap in percentage points.", 3, True)


def _control(found: Interventions) -> Table:
    rows: list[list[Cell]] = [
        [text, labels.number(found.controls.get(name)), "the same"] for name, text in CONTROLS.items()
    ]
    absent = "" if len(found.controls) == len(CONTROLS) else " A dash: not logged. measures=norms computes it."
    caption = (
        "Control: mean distances of the free networks, and of other parameters with the same functions. The function "
        f"is the same and so is the gap. Therefore no distance is sufficient for arbitrary parameters.{absent}"
    )
    return Table(["parameters", "distance from initialization", "function"], rows, caption)
