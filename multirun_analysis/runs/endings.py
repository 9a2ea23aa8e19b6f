"""How runs ended: masks [runs] over the frame of `query`."""

from __future__ import annotations

import pandas as pd

from initdist import names
from multirun_analysis.runs.params import STOP_ERROR, STOP_FRACTION, STOP_LOSS
from multirun_analysis.runs.read import CONVERGED, ENDED, IDENTITY, RUN_ID, STARTED, STATUS, STOP_REASON

FINISHED = "FINISHED"
KNOWN = (names.CONVERGED_YES, names.CONVERGED_NO, names.CONVERGED_FIXED)


def superseded(frame: pd.DataFrame) -> pd.Series:
    """Finished runs of an identity that has a later finished run."""
    newest = frame[frame[STATUS] == FINISHED].sort_values([ENDED, STARTED, RUN_ID])
    older = newest[IDENTITY].notna() & newest.duplicated(IDENTITY, keep="last")
    return older.reindex(frame.index, fill_value=False).astype(bool)


def diverged(frame: pd.DataFrame) -> pd.Series:
    return frame[STOP_REASON] == names.STOP_DIVERGED


def unconverged(frame: pd.DataFrame) -> pd.Series:
    """Networks that met none of the stopping rules that they were trained with.

    The run's tag says so, since only training knows its rules. A run that is older than the tag had the three rules of
    its time.
    """
    by_rules = (frame[STOP_REASON] == names.STOP_MAX_EPOCHS) & ~_fixed_epochs(frame)
    if CONVERGED not in frame:
        return by_rules
    return (frame[CONVERGED] == names.CONVERGED_NO).where(frame[CONVERGED].isin(KNOWN), by_rules)


def _fixed_epochs(frame: pd.DataFrame) -> pd.Series:
    """Trained for a fixed number of epochs on purpose: there was no criterion to miss."""
    if STOP_LOSS not in frame:
        return pd.Series(False, index=frame.index)
    fixed = frame[STOP_LOSS] == 0
    if STOP_FRACTION in frame:
        fixed &= ~(frame[STOP_FRACTION] > 0)  # missing where a run is older than the criterion
    if STOP_ERROR in frame:
        fixed &= frame[STOP_ERROR].isna()
    return fixed
