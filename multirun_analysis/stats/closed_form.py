"""The norm that an initialization has before any training, in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

MODELS = ("mlp", "linear")


def xavier_norm(inputs: int, width: int, depth: int, classes: int, scale: float = 1.0) -> float:
    """Root of the expected squared norm, scale * sqrt(sum_k 2 n_in n_out/(n_in + n_out)); biases start at zero."""
    layers = pairwise([inputs, *([width] * depth), classes])
    return scale * math.sqrt(sum(2 * i * o / (i + o) for i, o in layers))


def initial_norm(row: Mapping[Any, Any]) -> float:
    """A network's expected initial norm from its params and tags; NaN where the closed form does not apply."""
    try:
        if row["model.init"] != "xavier" or row["model.name"] not in MODELS:
            return math.nan
        inputs = math.prod(int(size) for size in str(row["input_shape"]).split("x"))
        scale = row.get("model.init_scale")
        scale = 1.0 if scale is None or math.isnan(float(scale)) else float(scale)
        return xavier_norm(inputs, int(row["model.width"]), int(row["model.depth"]), int(row["classes"]), scale)
    except (KeyError, ValueError, TypeError):
        return math.nan
