"""One sentence on a measure, made from the numbers of the league table."""

from __future__ import annotations

from initdist import names
from multirun_analysis.stats.ols import Interval, Slope
from multirun_analysis.stats.standings import Estimate, LeagueTable, Standing, Verdict

JUDGED = (names.DISTANCE, "distance_over_sqrt_n")
IN_WORDS = {names.GAP_NOISY: "generalization gap under noise"}
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


def judge(table: LeagueTable, measure: str) -> Verdict:
    """Whether a measure explains the target: four pre-stated conditions, all on new configurations.

    Within groups the slope's t interval and its cluster-robust interval exclude 0 on the predicted side; so does the
    partial rank correlation given the axes; and groups left out are predicted better with it than by the
    hyperparameters alone. All four: supported. The first two, or the third, on the other side: contradicted. Else
    undecided, as with fewer than 6 clusters.
    """
    row = table.standing(measure)
    slope, partial, gain = within(row.within), row.partial.verdict, row.prediction.gain
    if slope == "positive" and partial == "positive" and gain is not None and gain > 0:
        verdict = SUPPORTED
    elif slope == "negative" or partial == "negative":
        verdict = CONTRADICTED
    else:
        verdict = UNDECIDED
    return Verdict(measure, verdict, f"{measure}: {verdict}. {'; '.join(_numbers(table, row))}.")


def within(slope: Slope) -> str:
    """positive | negative (both intervals agree) | includes 0 | undecided (too few points or clusters)."""
    if slope.verdict == "undecided" or slope.clustered is None:
        return "undecided"
    clustered = _side(slope.clustered)
    return slope.verdict if slope.verdict == clustered else "includes 0"


def _side(interval: Interval) -> str:
    return "positive" if interval.low > 0 else "negative" if interval.high < 0 else "includes 0"


def _numbers(table: LeagueTable, row: Standing) -> list[str]:
    target = IN_WORDS.get(table.target, table.target.replace("_", " "))
    parts = [f"Within groups the {target} changes by {_slope(row.within)} points per standard deviation of it"]
    if row.within.clustered is None:
        clusters = row.within.clusters or 0
        parts.append(f"undecided across data cells, {clusters} of the 6 clusters that an interval needs")
    parts.append(f"tau within groups {_estimate(row.tau_within)}")
    parts.append(f"partial rank correlation given the axes {_estimate(row.partial)}")
    if row.prediction.gain is None:
        parts.append(f"gain over the hyperparameters unknown ({row.prediction.note or 'not defined'})")
    else:
        parts.append(
            f"in groups left out it {'adds' if row.prediction.gain > 0 else 'takes'} "
            f"{_number(abs(row.prediction.gain))} of R² {'to' if row.prediction.gain > 0 else 'from'} the "
            f"{_number(row.prediction.left_out)} of the hyperparameters alone"
        )
    place = row.ranks.get("tau_within")
    if place is not None:
        parts.append(f"place {place} of {sum('tau_within' in other.ranks for other in table.rows)}{_rival(row)}")
    return parts


def _rival(row: Standing) -> str:
    difference = row.differences.get("tau_within")
    if difference is None:
        return ", the leader"
    return f", {difference.verdict.replace('the leader', difference.leader)}" + (
        f" ({difference.leader})" if "leader" not in difference.verdict else ""
    )


def _slope(slope: Slope) -> str:
    if slope.slope is None or slope.effect is None:
        return f"an unknown number ({slope.note}) of"
    scale = 100 * abs(slope.effect / slope.slope) if slope.slope else 0.0
    text = _number(100 * slope.effect)
    for interval in (slope.interval, slope.clustered):
        if interval is not None:
            text += f" [{_number(scale * interval.low)}, {_number(scale * interval.high)}]"
    return text


def _estimate(item: Estimate) -> str:
    text = _number(item.value)
    return text if item.low is None else f"{text} [{_number(item.low)}, {_number(item.high)}]"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2g}".replace("-", "−")
