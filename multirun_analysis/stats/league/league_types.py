"""The types of the league table: plain values, nothing computed but views of them.

Estimand (b), new configurations: one point a configuration, the mean over its seeds. Every measure is normalized
across training sizes and oriented, so that a positive number means: as the measure predicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from multirun_analysis.stats.design import Design
from multirun_analysis.stats.regression.headline import Headline
from multirun_analysis.stats.regression.left_out import LeftOut
from multirun_analysis.stats.regression.ols import Slope, side
from multirun_analysis.stats.regression.prediction import Prediction

# Statistic -> what it is called. The first one sorts the table.
STATISTICS = {
    "tau_within": "Kendall's tau-b within groups",
    "tau": "Kendall's tau-b over all pairs",
    "psi": "granulated tau (Psi)",
    "partial": "partial correlation given the hyperparameters",
    "information": "conditional mutual information (Jiang)",
    "information_pgdl": "conditional mutual information (PGDL)",
    "sign_error": "robust sign error, 90th percentile",
    "gain": "gain in left-out groups over the hyperparameters",
}
# The rungs of the ladder, and how each may stand.
ASSOCIATED, BEYOND, PREDICTS, MOVES = "associated", "beyond the hyperparameters", "predicts", "moves the target"
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
RESAMPLED = ("tau_within", "tau", "psi")  # these have paired differences from the leader


@dataclass(frozen=True)
class Estimate:
    """A statistic with a two-sided 95% interval; low and high None: undecided, note says why.

    points: configurations it rests on. covered: whether its coverage is claimed (20 configurations or more).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    points: int = 0
    note: str = ""
    covered: bool = False
    p: float | None = None  # two-sided, of 0; where a test has one

    @property
    def verdict(self) -> str:
        """positive | negative (the interval excludes 0) | includes 0 | undecided."""
        return side(self.low, self.high)


@dataclass(frozen=True)
class Granulated:
    """Psi (1912.02178): tau over the pairs of configurations that differ in one axis only, then the axes' average."""

    average: Estimate
    by_axis: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class Information:
    """A conditional mutual information against its permutation null, never against 0: the estimate is biased upward.

    null: median, null_high: 95th percentile over the permutations of whole configurations. p: one-sided.
    given: the axes that attain the minimum (Jiang) or "" (PGDL). value None: note says why.
    """

    value: float | None
    null: float | None = None
    null_high: float | None = None
    p: float | None = None
    permutations: int = 0
    given: tuple[str, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> str:
        """above its null | not above its null | undecided."""
        if self.p is None:
            return "undecided"
        return "above its null" if self.p <= 0.05 else "not above its null"


@dataclass(frozen=True)
class SignError:
    """Sign errors over environments, the pairs of complete configurations that differ in one axis (2010.11924).

    mean, percentile_90 and maximum over the surviving environments: no interval. surviving and environments: axis ->
    how many certify enough (effective sample >= 12), and how many there are. 0: always right, 0.5: a coin, 1: wrong.
    """

    mean: float | None
    percentile_90: float | None
    maximum: float | None
    surviving: dict[str, int] = field(default_factory=dict)
    environments: dict[str, int] = field(default_factory=dict)
    by_axis: dict[str, float] = field(default_factory=dict)  # axis -> mean
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """Leader less measure on the configurations where both are defined; simultaneous 95% interval (max-T)."""

    leader: str
    value: float
    low: float | None
    high: float | None
    p: float | None  # adjusted over the table's measures

    @property
    def verdict(self) -> str:
        """worse than the leader | no difference shown | undecided."""
        if self.low is None:
            return "undecided"
        return "worse than the leader" if self.low > 0 else "no difference shown"


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder: supported | contradicted | undecided, why, and the two-sided p value that was judged."""

    name: str
    verdict: str
    reason: str
    p: float | None = None


@dataclass(frozen=True)
class Standing:
    """One measure. Slopes are of the target on the normalized, oriented measure; `effect` is per standard deviation.

    undefined, infinite: networks where the measure is absent, or +infinity (worst rank in rank statistics, left out of
    regressions). ranks: statistic -> place, 1 is best; ties share the better place. differences: statistic -> distance
    from the leader. same_as: an earlier measure with the same ranking of the networks.
    """

    measure: str
    column: str
    group: str
    formula: str
    source: str
    orientation: int
    normalization: str
    known: bool  # False: not in the catalogue
    configurations: int
    undefined: int
    infinite: int
    headline: Headline  # the mean over groups of their slopes
    within: Slope  # one slope, an intercept for each group
    controlled: Slope  # all axes as linear controls, log width too
    pooled: Slope  # one intercept: a description
    across_seeds: Slope  # an intercept for each configuration
    width_only: Slope  # all axes but width fixed: confounded with the width itself
    tau: Estimate
    tau_within: Estimate
    psi: Granulated
    partial: Estimate
    information: Information
    information_pgdl: Information
    sign_error: SignError
    sign_error_test: SignError  # the sharper form: test errors paired on the shared test set
    prediction: Prediction
    left_out: LeftOut  # beside the best of several models of the hyperparameters
    rungs: tuple[Rung, ...] = ()
    ranks: dict[str, int] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    same_as: str = ""

    def score(self, statistic: str) -> float | None:
        """The number that ranks the measure under one of STATISTICS, larger is better but for sign errors."""
        if statistic == "psi":
            return self.psi.average.value
        if statistic == "sign_error":
            return self.sign_error.percentile_90
        if statistic == "gain":
            return self.left_out.gain
        value: float | None = getattr(self, statistic).value
        return value


@dataclass(frozen=True)
class Baseline:
    """What every measure must beat: the hyperparameters alone, as a linear model of the axes.

    left_out: 1 - SSE/sum(y - mean of the training groups)^2 in groups left out. The taus rank configurations by the
    value that the model predicts for them from the others (leave-one-configuration-out).
    """

    hyperparameters: tuple[str, ...]
    r2: float | None
    r2_adjusted: float | None
    left_out: float | None
    groups: int
    tau: Estimate
    tau_within: Estimate
    psi: Granulated
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """How far a measure got: its rungs, the highest that is reached with all below it, and the first that is not."""

    measure: str
    rungs: tuple[Rung, ...]

    @property
    def reached(self) -> Rung | None:
        """None: not even the first."""
        found = None
        for rung in self.rungs:
            if rung.verdict != SUPPORTED:
                break
            found = rung
        return found

    @property
    def sentence(self) -> str:
        """Every rung with how it stands and why."""
        return (
            f"{self.measure}: " + "; ".join(f"{rung.name}: {rung.verdict} ({rung.reason})" for rung in self.rungs) + "."
        )

    @property
    def failed(self) -> Rung | None:
        """The first that is not supported."""
        return next((rung for rung in self.rungs if rung.verdict != SUPPORTED), None)


@dataclass(frozen=True)
class LeagueTable:
    """rows: best first under Kendall's tau-b within groups. leaders: statistic -> measure.

    unranked: measures of the store that are undefined everywhere. notes: what was subsampled, fell back or is missing.
    """

    target: str
    design: Design
    configurations: int
    networks: int
    rows: tuple[Standing, ...]
    baseline: Baseline
    leaders: dict[str, str]
    verdicts: tuple[Verdict, ...]
    resamples: int
    permutations: int
    unranked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def by_measure(self) -> dict[str, Standing]:
        """The rows by their measures' names."""
        return {row.measure: row for row in self.rows}

    @property
    def table(self) -> pd.DataFrame:
        """One row a measure, one column a score and a rank, for a look or for pandas."""
        rows = []
        for row in self.rows:
            scores = {name: row.score(name) for name in STATISTICS}
            ranks = {f"{name}_rank": row.ranks.get(name) for name in STATISTICS}
            intervals = {"tau_within_low": row.tau_within.low, "tau_within_high": row.tau_within.high}
            rows.append({"measure": row.measure, **scores, **intervals, "slope": row.within.effect, **ranks})
        return pd.DataFrame(rows)

    def places(self, row: Standing) -> tuple[int, int, int] | None:
        """The first and the last of the places that a measure shares by tau within groups, and how many there are."""
        first = row.ranks.get(RESAMPLED[0])
        if first is None:
            return None
        ranked = [other.ranks[RESAMPLED[0]] for other in self.rows if RESAMPLED[0] in other.ranks and not other.same_as]
        return first, first + ranked.count(first) - 1, len(ranked)

    def standing(self, measure: str) -> Standing:
        """A measure's row. Raises KeyError that lists the measures if there is none."""
        if measure not in self.by_measure:
            raise KeyError(f"no measure {measure!r} in the league table: {', '.join(self.by_measure)}")
        return self.by_measure[measure]
