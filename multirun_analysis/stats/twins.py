"""Networks beside their linearized twins: measured and predicted distances, seed by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.runs.params import LINEARIZE, is_seed
from multirun_analysis.stats.claims.kinds import linearized
from multirun_analysis.stats.design import Design

OVER_TWIN, OVER_CLOSED_FORM = "distance over twin's", "distance over closed form"
CLOSED_FORM = names.measure("lazy_distance")


def ratios(frame: pd.DataFrame, design: Design) -> pd.DataFrame:
    """The networks that have a twin, one of the same axes and seeds, with what they moved over what the twin did, and
    over the closed form where that is known."""
    keys = [*design.others(LINEARIZE), *filter(is_seed, map(str, frame))]
    twins = linearized(frame)
    theirs = frame.loc[twins, [*keys, names.DISTANCE]].rename(columns={names.DISTANCE: "twin"})
    pairs = frame[~twins].merge(theirs, on=keys, how="inner")
    pairs = pairs.assign(**{OVER_TWIN: pairs[names.DISTANCE] / pairs["twin"]})
    if CLOSED_FORM not in pairs:
        return pairs
    known = pairs[CLOSED_FORM].where(np.isfinite(pairs[CLOSED_FORM]))  # infinite: no linearized network fits
    return pairs.assign(**{OVER_CLOSED_FORM: pairs[names.DISTANCE] / known})
