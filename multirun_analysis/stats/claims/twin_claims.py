"""O1, how and why the distance is regularized: claims on linearized twins, stated before any result. Data only.

A twin (`model.linearize=true`) differs from its network in nothing else. Where it moves as the network does, the
tangent kernel that the network begins with explains the distance, and no property of SGD is needed.
"""

from __future__ import annotations

from dataclasses import replace

from initdist import names
from multirun_analysis.runs.params import LINEARIZE
from multirun_analysis.stats.claims.paper_claims import BELOW, CLAIMS, LOG_LINEAR, PAIRS, TWINS, Claim

CELLS = "Holm over cells of all parts"
FIGURE = "distance_over_twin"
GROWS = "The twin's distance from initialization grows with the"
_OF_TWINS = {
    "C1b": ("The twin's distance from initialization shrinks with width.", "distance_against_width"),
    "C3": (f"{GROWS} number of training samples.", "distance_against_train_size"),
    "C4": (f"{GROWS} fraction of corrupted labels.", "distance_against_noise"),
}


def _of_twins(claim: Claim) -> Claim:
    statement, figure = _OF_TWINS[claim.id]
    return replace(claim, id=f"O1a {claim.id}", statement=statement, correction=CELLS, about=TWINS, figure=figure)


TWIN_CLAIMS = (
    Claim(
        "O1a",
        "The linearized twin moves as the network is said to do: its distance from initialization shrinks with width, "
        "and grows with the number of training samples and with the fraction of corrupted labels.",
        names.DISTANCE,
        axis="",
        effect="",
        side="",
        margin=0.0,
        unit="",
        correction=CELLS,
        about=TWINS,
        parts=tuple(_of_twins(claim) for claim in CLAIMS if claim.id in _OF_TWINS),
    ),
    Claim(
        "O1b",
        "A network moves no farther than its linearized twin.",
        names.DISTANCE,
        LINEARIZE,
        LOG_LINEAR,
        BELOW,
        0.05,
        "log of the network's distance over its twin's",
        figure=FIGURE,
        about=PAIRS,
    ),
)
