"""The report's sentences, made from the numbers."""

from __future__ import annotations

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.material import Material
from multirun_analysis.stats import Results
from multirun_analysis.stats.ols import Slope
from multirun_analysis.stats.regression import Association
from multirun_analysis.targets import why_default

SCALE = 100  # targets are fractions, sentences speak of percentage points


def interval(slope: Slope, scale: float = SCALE) -> str:
    """`0.83 [0.55, 1.10]`, without brackets where undecided."""
    text = labels.number(None if slope.slope is None else scale * slope.slope)
    if slope.interval is None:
        return text
    return f"{text} [{labels.number(scale * slope.interval.low)}, {labels.number(scale * slope.interval.high)}]"


def place(results: Results) -> str:
    """`Within groups of equal n and p`."""
    axes = [labels.short(axis) for axis in results.design.group_axes]
    if not axes:
        return "In the one group of this experiment"
    names = axes[0] if len(axes) == 1 else f"{', '.join(axes[:-1])} and {axes[-1]}"
    return f"Within groups of equal {names}"


def answer(results: Results) -> str:
    """Whether the target goes with the distance within groups, in one sentence."""
    association = results.associations[0]
    within, target = association.within, labels.long(results.target)
    if len(results.means) == 1:
        return (
            "Undecided: the experiment holds one configuration, so nothing can be compared. "
            "Vary the width, the sample size or the noise."
        )
    if within.verdict == "undecided":
        return f"Undecided: {within.note or 'too few configurations'}. {_point(within)}".strip()
    assert within.interval is not None
    numbers = (
        f"{interval(within)} percentage points per unit of distance, 95% t interval, "
        f"{within.points} configurations in {labels.count(within.groups, 'group')}"
    )
    if within.verdict == "includes 0":
        return f"{place(results)}, no linear association of the {target} with the distance is shown: {numbers}."
    more = "larger" if within.verdict == "positive" else "smaller"
    return f"{place(results)}, networks farther from their initialization have a {more} {target}: {numbers}."


def verdict(results: Results) -> str:
    """The pre-stated verdict on the distance, in a short sentence."""
    found = (
        next((item for item in results.league.verdicts if item.measure == names.DISTANCE), None)
        if results.league
        else None
    )
    if found is None or results.league is None:
        return ""
    place = results.league.standing(names.DISTANCE).ranks.get("tau_within")
    ranked = sum("tau_within" in row.ranks for row in results.league.rows)
    words = {
        "supported": "is supported as an explanation of the gap",
        "contradicted": "is contradicted as an explanation of the gap",
    }
    said = words.get(found.verdict, "remains undecided as an explanation of the gap")
    text = f"On new configurations the distance {said}"
    return f"{text}; it takes place {place} of {ranked} measures." if place else f"{text}."


def target_note(material: Material) -> str:
    """Which target, and why, where the user did not say."""
    target = material.results.target
    if material.asked_target:
        return ""
    other = names.GAP if target == names.GAP_NOISY else names.GAP_NOISY
    why = why_default(material.networks)
    return f"The target is the {labels.long(target)}, since {why} (target={other} for the other)."


def claim_line(results: Results) -> str:
    """`Claims: C1a, C1b supported; C3 undecided`."""
    groups: dict[str, list[str]] = {}
    for item in results.claims:
        groups.setdefault(item.verdict, []).append(item.claim.id)
    order = [word for word in ("supported", "contradicted", "undecided") if word in groups]
    return "; ".join(f"{', '.join(groups[word])} {word}" for word in order)


def league_line(results: Results, shown: int = 3) -> str:
    """The first few measures under the statistic that sorts the table, and the baseline."""
    if results.league is None:
        return ""
    rows = [row for row in results.league.rows if "tau_within" in row.ranks]
    text = ", ".join(
        f"{row.ranks['tau_within']}. {row.measure} {labels.fixed(row.tau_within.value)}" for row in rows[:shown]
    )
    alone = results.league.baseline.tau_within.value
    more = f", ... of {len(rows)}" if len(rows) > shown else ""
    return f"{text}{more}; hyperparameters alone {labels.fixed(alone)}" if rows else ""


def remarks(results: Results) -> list[str]:
    """What qualifies the answer."""
    association = results.associations[0]
    lines = [_pooled(association), _clustered(association), _controlled(association), _hyperparameters(association)]
    if association.across_seeds.slope is not None:
        verdict = association.across_seeds.verdict
        lines.append(
            f"Across seeds of the same configuration the slope is {interval(association.across_seeds)} ({verdict})."
        )
    return [line for line in lines if line]


def _point(slope: Slope) -> str:
    if slope.slope is None:
        return ""
    return f"The slope of these points alone is {labels.number(SCALE * slope.slope)} percentage points per unit."


def _pooled(association: Association) -> str:
    within, pooled = association.within.slope, association.pooled.slope
    if within is None or pooled is None or association.within.groups < 2:
        return ""
    text = f"Pooled over groups the slope is {labels.number(SCALE * pooled)}"
    if within * pooled < 0:
        return f"{text}, of the opposite sign: groups differ in both, so the pooled slope is a description only."
    return f"{text}, a description only: groups differ in both."


def _clustered(association: Association) -> str:
    within = association.within
    if within.interval is None or within.clusters is None:
        return ""
    if within.clustered is None:
        return (
            f"Repeated with data and noise cells as clusters: undecided, {labels.count(within.clusters, 'cluster')}, "
            "an interval needs 6."
        )
    low, high = (labels.number(SCALE * end) for end in (within.clustered.low, within.clustered.high))
    return f"Repeated with {within.clusters} data and noise cells as clusters the interval is [{low}, {high}]."


def _controlled(association: Association) -> str:
    controlled = association.controlled
    if not association.controls:
        return ""
    names = ", ".join(map(labels.term, association.controls))
    if controlled.slope is None:
        return f"Controlled for {names}: not identified, {controlled.note}."
    return f"Controlled for {names}, the slope is {interval(controlled)} ({controlled.verdict})."


def _hyperparameters(association: Association) -> str:
    prediction = association.prediction
    if prediction.r2 is None:
        return ""
    text = f"The hyperparameters alone explain R² = {labels.number(prediction.r2, 2)} of the configuration means"
    if prediction.gain is None:
        return f"{text}; the distance's gain in unseen groups is undecided: {prediction.note}."
    before, after = labels.number(prediction.left_out, 2), labels.number(prediction.left_out_both, 2)
    gain = labels.number(prediction.gain, 2)
    return f"{text}; of groups left out they predict {before}, with the distance {after} (gain {gain})."
