"""The claims of arXiv 1901.01672 (C7: of its sequel 1902.04742) as tests stated before any result: data only.

Estimand (a), this grid: seeds are the replicates, blocked across cells; the levels of the axis are fixed. A cell holds
all other axes fixed. One-sided t tests at 5% (seed_blocks.py), Holm over the cells of a claim. A claim is supported
only if every cell of the grid is tested and supports it; one that says "can" needs a single cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from initdist import names
from multirun_analysis.labels import CAPACITY_RATIO, NORM, OWN_GAP
from multirun_analysis.runs.params import NOISE_LEVEL, TRAIN_SIZE, WIDTH

BELOW, ABOVE, WITHIN = "below", "above", "within"  # within the margin around the centre
LOG_LOG, LOG_LINEAR, ENDS = "exponent", "log slope", "difference of ends"
LEVEL = 0.05
DEPTHS, START, THRESHOLD = "depths", "start", "threshold"
GRID = "this grid: seeds are replicates, levels fixed"
# What a claim is about.
NETWORKS, TWINS = "networks that are not linearized", "linearized networks"
PAIRS = "pairs of a network and its linearized twin"
BOUNDS = "bounds"  # the catalogue's group: a claim is tested for each logged one with a distance in its formula


@dataclass(frozen=True)
class Claim:
    """The claim holds in a cell if the effect of the axis on the quantity lies below (or above) the margin, or `within`
    it: between the margin's negative and itself (an equivalence test).

    effect: `exponent` = slope of log quantity on log axis; `log slope` = slope of log quantity on the axis;
    `difference of ends` = quantity at the axis' largest level less that at its smallest. while_falling: a second
    quantity whose own effect must lie below 0 in the same cell (intersection-union: the larger p counts);
    while_growing: one whose exponent must lie above 0.
    margin and effects are in `unit`: the quantity times `scale`. centre: what a claim that says `within` has its margin
    around. clause: what the statement says of the data it was
    tested on (words.py): the depths, what the initialization's norm does, the threshold. existential: the claim
    says that it can be so, for some quantity in some cell. about: which networks it is tested on. parts: claims that
    must all hold for it to hold; it has no axis, effect, side, margin and unit of its own then.
    """

    id: str
    statement: str
    quantity: str
    axis: str
    effect: str
    side: str
    margin: float
    unit: str
    while_falling: str = ""
    while_growing: str = ""
    clause: str = ""
    existential: bool = False
    scale: float = 1.0
    centre: float = 0.0
    estimand: str = GRID
    correction: str = "Holm over cells"
    source: str = "arXiv 1901.01672"
    figure: str = ""
    about: str = NETWORKS
    parts: tuple[Claim, ...] = ()


CLAIMS = (
    Claim(
        "C1a",
        "The distance from initialization does not grow with width.",
        names.DISTANCE,
        WIDTH,
        LOG_LOG,
        BELOW,
        0.05,
        "exponent of the distance in width",
        clause=DEPTHS,
        figure="distance_against_width",
    ),
    Claim(
        "C1b",
        "The distance from initialization shrinks with width.",
        names.DISTANCE,
        WIDTH,
        LOG_LOG,
        BELOW,
        0.0,
        "exponent of the distance in width",
        figure="distance_against_width",
    ),
    Claim(
        "C2",
        "The distance from the origin grows with width.",
        NORM,
        WIDTH,
        LOG_LOG,
        ABOVE,
        0.0,
        "exponent of the distance from the origin in width",
        clause=START,
        figure="norm_against_width",
    ),
    Claim(
        "C3",
        "The distance from initialization grows with the number of training samples.",
        names.DISTANCE,
        TRAIN_SIZE,
        LOG_LOG,
        ABOVE,
        0.0,
        "exponent of the distance in n",
    ),
    Claim(
        "C4",
        "The distance from initialization grows with the fraction of corrupted labels.",
        names.DISTANCE,
        NOISE_LEVEL,
        LOG_LINEAR,
        ABOVE,
        0.0,
        "log of the distance per unit of the noise level",
    ),
    Claim(
        "C5",
        "The test error does not grow with width.",
        names.TEST_ERROR,
        WIDTH,
        ENDS,
        BELOW,
        0.5,
        "test error at the largest width less that at the smallest, in percentage points",
        clause=THRESHOLD,
        scale=100.0,
        figure="errors_against_width",
    ),
    Claim(
        "C6",
        "The capacity of the ball around the initialization does not change with width, that of the ball around the "
        "origin grows.",
        names.measure("capacity_init_ball"),
        WIDTH,
        LOG_LOG,
        WITHIN,
        0.05,
        "exponent of the initialization ball's capacity in width",
        while_growing=CAPACITY_RATIO,
        figure="capacity_against_width",
    ),
    Claim(
        "C7",
        "Bounds built on the distance from initialization can grow with the number of training samples while the gap "
        "falls.",
        BOUNDS,
        TRAIN_SIZE,
        LOG_LOG,
        ABOVE,
        0.0,
        "exponent of the bound in n",
        while_falling=OWN_GAP,
        existential=True,
        correction="Holm over cells and bounds",
        source="arXiv 1902.04742",
    ),
)
