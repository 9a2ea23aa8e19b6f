"""The report's sentences, made from the numbers."""

from __future__ import annotations

from dataclasses import replace

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.inputs import Material
from multirun_analysis.runs.targets import why_default
from multirun_analysis.stats import LeagueTable, Results
from multirun_analysis.stats.claims.words import scope
from multirun_analysis.stats.league.league_types import (
    ASSOCIATED,
    BEYOND,
    CONTRADICTED,
    MOVES,
    PREDICTS,
    SUPPORTED,
    Rung,
    Standing,
    Verdict,
)
from multirun_analysis.stats.regression.association import Association
from multirun_analysis.stats.regression.headline import Headline
from multirun_analysis.stats.regression.ols import Slope, constant

# What a measure does that has reached a rung.
SAID = {
    ASSOCIATED: "goes with the gap within groups",
    BEYOND: "says more than the hyperparameters do",
    PREDICTS: "predicts groups that were left out better than the hyperparameters do",
    MOVES: "moves the gap when it is moved",
}
UNIT = "percentage points for one standard deviation of the distance within a group"
SCALE = 100  # targets are fractions, sentences speak of percentage points


def interval(slope: Slope | Headline, scale: float = SCALE) -> str:
    """`0.83 [0.55, 1.10]`, without brackets where undecided."""
    return labels.interval(slope.slope, slope.interval, scale)


def place(results: Results) -> str:
    """`Within groups of equal n and p`."""
    axes = [labels.short(axis) for axis in results.design.group_axes]
    if not axes:
        return "In the one group of this experiment"
    return f"Within groups of equal {labels.together(axes)}"


def answer(results: Results) -> str:
    """How far the evidence on the distance carries: the highest rung that is reached, and the first that is not."""
    if len(results.means) == 1:
        return (
            "Undecided: the experiment holds one configuration, so nothing can be compared. "
            "Vary the width, the sample size or the noise."
        )
    values = results.means[results.target].to_numpy(dtype=float)
    if constant(values):
        same = f"{labels.number(SCALE * values[0])} percentage points"
        everywhere = f"all {labels.count(len(values), 'configuration')}"
        return f"Undecided: the {labels.long(results.target)} is {same} in {everywhere}, so nothing can go with it."
    found, first, target = judged(results), results.headline, labels.long(results.target)
    if first.interval is None:
        why = first.note or "nothing can be compared"
        lead = f"{place(results)}, it is undecided whether the {target} goes with the distance: {why}"
        return f"{lead}. {_point(results)}{_later(found)}".strip()
    if first.heterogeneous:
        lead = f"{place(results)}, the slopes of the {target} on the distance differ between groups, {_range(first)}"
        mean = f"their mean is {numbers(results)}"
        if first.verdict != "positive":
            return f"{lead}; {mean}.{_later(found)}"
        lead = f"{lead}; {mean}. So on average it is larger for networks farther from their initialization"
    elif first.verdict == "positive":
        lead = (
            f"{place(results)}, networks farther from their initialization have a larger {target}: {numbers(results)}"
        )
    elif first.verdict == "negative":
        lead = f"{place(results)}, networks farther from their initialization have a smaller {target}"
        return f"{lead}, against what the distance predicts: {numbers(results)}.{_later(found)}"
    else:
        lead = f"{place(results)}, no association of the {target} with the distance is shown"
        return f"{lead}: {numbers(results)}.{_one_sign(first)}{_later(found)}"
    if found is None:
        return f"{lead}."
    if found.reached is not None and found.reached.name != ASSOCIATED:
        lead += f". The distance {SAID[found.reached.name]} ({found.reached.reason})"
    return f"{lead}{_but(found.failed)}.{_later(found)}"


def _one_sign(first: Headline) -> str:
    if first.groups < 2 or first.lowest is None or first.highest is None or first.lowest <= 0 <= first.highest:
        return ""
    return f" All {first.groups} slopes are {'positive' if first.lowest > 0 else 'negative'}."


def judged(results: Results) -> Verdict | None:
    """The ladder of the distance."""
    verdicts = results.league.verdicts if results.league else ()
    return next((item for item in verdicts if item.measure == names.DISTANCE), None)


def numbers(results: Results) -> str:
    """`1.33 [0.85, 1.82] percentage points per unit of distance (95% interval over groups; 9 configurations ...)`."""
    first = results.headline
    rests_on = f"{first.points} configurations in {labels.count(first.groups, 'group')}"
    return f"{interval(first)} {UNIT} (95% interval {first.basis}; {rests_on})"


def _but(failed: Rung | None) -> str:
    """The first rung that is not reached."""
    if failed is None:
        return ""
    if failed.verdict == CONTRADICTED:
        return f". That the distance {SAID[failed.name]} is contradicted: {failed.reason}"
    return f". Whether the distance {SAID[failed.name]} is undecided: {failed.reason}"


def _later(found: Verdict | None) -> str:
    """Rungs that hold although one below them does not."""
    if found is None or found.failed is None:
        return ""
    above = found.rungs[found.rungs.index(found.failed) + 1 :]
    held = [f"that the distance {SAID[rung.name]} ({rung.reason})" for rung in above if rung.verdict == SUPPORTED]
    return (
        f" By itself it is supported {' and '.join(held)}. Without the rung below it this says little." if held else ""
    )


def _range(first: Headline) -> str:
    assert first.lowest is not None
    assert first.highest is not None
    low, high = (labels.number(SCALE * end) for end in (first.lowest, first.highest))
    return f"from {low} to {high}" + ("" if first.differ is None else f" (p = {first.differ:.2g})")


def verdict(results: Results) -> str:
    """The ladder of the distance in one line: each rung and how it stands."""
    found = judged(results)
    if found is None or results.league is None:
        return ""
    text = "; ".join(f"{rung.name}: {rung.verdict}" for rung in found.rungs)
    where = places(results.league.standing(names.DISTANCE), results.league)
    return f"The distance, rung by rung: {text}." + (f" By rank correlation within groups: {where}." if where else "")


def places(row: Standing, table: LeagueTable) -> str:
    """`place 1 of 12`, or `places 1-7 of 12`, which seven measures share; empty where there are none."""
    found = table.places(row)
    if found is None:
        return ""
    first, last, ranked = found
    if first == last:
        return f"place {first} of {ranked}"
    return f"places {first}–{last} of {ranked}, shared by {last - first + 1} measures"


def target_note(material: Material) -> str:
    """Which target, and why, where the user did not say."""
    target = material.results.target
    if material.asked_target:
        return ""
    other = names.GAP if target == names.GAP_NOISY else names.GAP_NOISY
    why = why_default(material.networks)
    return f"The target is the {labels.long(target)}, because {why}. For the other gap, use target={other}."


def claim_line(results: Results) -> str:
    """`C1a, C1b supported; C5 undecided (1 of 4 cells tested); C3 undecided`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in results.claims:
        tested = f" ({scope(item)})" if item.tested < item.whole else ""
        groups.setdefault((item.verdict, tested), []).append(item.claim.id)
    order = sorted(groups, key=lambda group: ("supported", "contradicted", "undecided").index(group[0]))
    return "; ".join(f"{', '.join(groups[group])} {group[0]}{group[1]}" for group in order)


def league_line(results: Results, shown: int = 3) -> str:
    """The first few measures under the statistic that sorts the table, and the baseline."""
    table = results.league
    rows = [row for row in table.rows if "tau_within" in row.ranks and not row.same_as] if table else []
    if table is None or not rows:
        return ""
    tied = [row for row in rows if row.ranks["tau_within"] == 1]
    alone = f"hyperparameters alone {labels.fixed(table.baseline.tau_within.value)}"
    if len(tied) > shown:
        best = labels.fixed(tied[0].tau_within.value)
        return f"{len(tied)} of {len(rows)} measures share the first place with {best}; {alone}"
    text = ", ".join(
        f"{row.ranks['tau_within']}. {row.measure} {labels.fixed(row.tau_within.value)}" for row in rows[:shown]
    )
    more = f", ... of {len(rows)}" if len(rows) > shown else ""
    return f"{text}{more}; {alone}"


def remarks(results: Results) -> list[str]:
    """What qualifies the answer."""
    association = results.judged
    lines = [_pooled(association), _controlled(association), _hyperparameters(association)]
    if association.across_seeds.slope is not None:
        seeds = replace(association.across_seeds, interval=association.across_seeds.widest)
        lines.append(f"Across seeds of the same configuration the slope is {interval(seeds)} ({seeds.verdict}).")
    return [line for line in lines if line]


def _point(results: Results) -> str:
    first = results.headline
    if first.slope is None:
        return ""
    if first.groups > 1 and first.lowest is not None and first.highest is not None:
        ends = labels.span((SCALE * first.lowest, SCALE * first.highest))
        equal = "" if first.differ is None else f" (p = {first.differ:.2g} for equal slopes)"
        return f"The groups' slopes are {ends} {UNIT}{equal}. They describe the data and decide nothing."
    slope = f"{labels.number(SCALE * first.slope)} {UNIT}"
    return f"The slope is {slope}. It describes the data and decides nothing."


def _pooled(association: Association) -> str:
    within, pooled = association.within.slope, association.pooled.slope
    if within is None or pooled is None or association.within.groups < 2:
        return ""
    text = f"Pooled over groups the slope is {labels.number(SCALE * pooled)}"
    if within * pooled < 0:
        text += ", of the opposite sign to the slope within groups"
    return f"{text}. Groups differ both in the distance and in the target, so the pooled slope only describes the data."


def _controlled(association: Association) -> str:
    controlled = association.controlled
    if not association.controls:
        return ""
    names = ", ".join(map(labels.term, association.controls))
    if controlled.slope is None:
        return f"Controlled for {names}, the slope is not identified: {controlled.note}."
    return f"Controlled for {names}, the slope is {interval(controlled)} ({controlled.verdict})."


def _hyperparameters(association: Association) -> str:
    if association.prediction.r2 is None:
        return ""
    text = f"A linear model of the hyperparameters has R² = {labels.number(association.prediction.r2, 2)} in sample"
    beside = association.beside
    if beside.gain is None or beside.alone is None or beside.both is None:
        return f"{text}. How much the distance adds in groups left out is undecided: {beside.note}."
    both = f"R² = {beside.alone:.3f}, and {beside.both:.3f} with the distance added".replace("-", "−")
    return f"{text}. In groups left out the best of several models has {both}."
