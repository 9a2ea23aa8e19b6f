"""Names of what an analysis computes for each network, and of the histories that it draws."""

from __future__ import annotations

from initdist import names

OVER_SQRT_N = names.measure("distance_over_sqrt_n")
NORM = "distance_from_origin"  # sqrt(measure/param_norm)
HISTORIES = (names.DISTANCE, names.TRAIN_LOSS)
