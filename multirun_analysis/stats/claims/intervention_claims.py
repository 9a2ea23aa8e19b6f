"""Claims O2 and O2' as tests stated before any result: data only.

Estimand (a), this grid: seeds are the replicates, and all is paired within a seed. A cell is a configuration of the
free networks; the arms are the same networks with their distance moved. Radii at which fewer than 80% of the seeds come
down to the loss threshold are censored: left out, counted and shown. All is conditional on solutions that stochastic
gradient descent finds, at equal training loss.
"""

from __future__ import annotations

from initdist import names
from multirun_analysis.labels import OWN_GAP
from multirun_analysis.stats.claims.paper_claims import GRID, WITHIN, Claim

RATIO, DIFFERENCE = "ratio of slopes", "difference at equal distance"
REACHED = 0.8  # the share of seeds at the threshold below which a radius is censored
SOURCE = "open question of arXiv 1901.01672"

INTERVENTION_CLAIMS = (
    Claim(
        "O2",
        "The distance is sufficient: moving it by intervention moves the gap as observation says, among solutions of "
        "gradient descent at equal training loss.",
        OWN_GAP,
        names.DISTANCE,
        RATIO,
        WITHIN,
        0.5,
        "slope of the gap on the distance over the arms of one network, over its slope within the group of the free "
        "networks",
        centre=1.0,
        estimand=f"{GRID}; within a seed; 95% interval by Fieller",
        source=SOURCE,
        figure="gap_against_imposed_distance",
    ),
    Claim(
        "O2'",
        "Equal distance, equal gap, whatever brought it about: a penalty on the way from the initialization, or a ball "
        "around it.",
        OWN_GAP,
        names.DISTANCE,
        DIFFERENCE,
        WITHIN,
        0.5,
        "gap under init_decay less that under init_ball at equal distance, in percentage points",
        scale=100.0,
        estimand=f"{GRID}; within a seed; equivalence by two one-sided tests at 5%",
        source=SOURCE,
        figure="gap_against_imposed_distance",
    ),
)
