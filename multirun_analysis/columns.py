"""Names of what an analysis computes for each network, and of the histories that it draws."""

from __future__ import annotations

from initdist import names

OVER_SQRT_N = names.measure("distance_over_sqrt_n")
NORM = "distance_from_origin"  # sqrt(measure/param_norm)
OWN_GAP = "own_generalization_gap"  # under noise where the labels trained on are noisy, else the clean one
HISTORIES = (names.DISTANCE, names.TRAIN_LOSS)
