"""Which networks the statistics may use, and counts of those they may not, by reason and by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.errors import AnalysisError
from multirun_analysis.runs.endings import FINISHED, diverged, superseded, unconverged
from multirun_analysis.runs.params import varied
from multirun_analysis.runs.read import DETAIL, EXCLUDED, INVALID, STATUS, Networks
from multirun_analysis.runs.targets import advice, default_target, noise_names, of_another

__all__ = ["counts", "counts_by_cell", "default_target", "exclude", "left_out", "require_some", "with_unconverged"]

UNFINISHED = "unfinished"
DUPLICATE = "duplicate"
UNREADABLE = "invalid"
DIVERGED = "diverged"
OTHER_TARGET = "with another target"
NO_TARGET = "no finite target"
NO_DISTANCE = "no finite distance"
NOT_CONVERGED = "not converged"
SPARSE_CELL = "in a cell with too few converged"

CONVERGED_SHARE = 0.8  # a cell with a smaller share of converged seeds is dropped whole

MEANING = {
    UNFINISHED: "the run's status is not FINISHED",
    DUPLICATE: "an earlier finished run of the same identity; the latest is kept",
    UNREADABLE: "a param or tag that the analysis needs is missing or cannot be read",
    DIVERGED: "training diverged",
    OTHER_TARGET: "the analysis has one target, and this network's own generalization gap is another metric: "
    f"{names.GAP_NOISY} under label noise, {names.GAP} under input noise",
    NO_TARGET: "the target metric is missing, infinite or not a number",
    NO_DISTANCE: "the distance from initialization is missing, infinite or not a number",
    NOT_CONVERGED: "the epoch limit came before the training loss, or another criterion, reached its threshold",
    SPARSE_CELL: f"converged, but under {CONVERGED_SHARE:.0%} of the cell's seeds did: the cell is dropped whole",
}


def exclude(networks: Networks, target: str, asked: bool = True) -> Networks:
    """Fills the columns `excluded` (the first reason that applies, or empty) and `excluded_detail`.

    asked: whether the user named the target, or it is the default one.
    """
    frame = networks.frame.copy()
    reason = pd.Series("", index=frame.index, dtype="object")
    detail = pd.Series("", index=frame.index, dtype="object")

    def mark(mask: pd.Series, name: str, text: pd.Series | str = "") -> None:
        first = mask & (reason == "")
        reason[first] = name
        detail[first] = text[first] if isinstance(text, pd.Series) else text

    mark(frame[STATUS] != FINISHED, UNFINISHED, "status " + frame[STATUS].astype("object"))
    mark(superseded(frame), DUPLICATE)
    mark(frame[INVALID] != "", UNREADABLE, frame[INVALID])
    mark(diverged(frame), DIVERGED)
    mark(of_another(frame, target, asked), OTHER_TARGET, "noise=" + noise_names(frame))
    mark(~_finite(frame, target), NO_TARGET, target)
    mark(~_finite(frame, names.DISTANCE), NO_DISTANCE, names.DISTANCE)
    mark(unconverged(frame), NOT_CONVERGED)
    mark(_in_sparse_cell(frame, reason, networks.params), SPARSE_CELL)
    frame[EXCLUDED] = reason
    frame[DETAIL] = detail
    return replace(networks, frame=frame)


def with_unconverged(networks: Networks) -> pd.DataFrame:
    """The networks used and those left out for want of convergence only: for the sensitivity."""
    return networks.frame[networks.frame[EXCLUDED].isin(["", NOT_CONVERGED, SPARSE_CELL])]


def attempted(networks: Networks) -> pd.DataFrame:
    """The same and those that diverged: for which radii of an intervention can be kept to."""
    return networks.frame[networks.frame[EXCLUDED].isin(["", NOT_CONVERGED, SPARSE_CELL, DIVERGED])]


def counts(networks: Networks) -> dict[str, int]:
    """Reason -> number of runs left out, in the order in which reasons are tried."""
    found = networks.frame[EXCLUDED].value_counts()
    return {reason: int(found[reason]) for reason in MEANING if reason in found}


def counts_by_cell(networks: Networks) -> list[dict[str, Any]]:
    """For each cell with a run left out: its axes, how many networks are used, how many left out by reason."""
    axes = varied(networks.frame, networks.params)
    keys = networks.frame[axes] if axes else pd.DataFrame({"": 0}, index=networks.frame.index)
    cells = []
    for _, rows in networks.frame.groupby([keys[key] for key in keys], dropna=False, sort=False):
        reasons = rows[EXCLUDED].value_counts()
        left_out = {reason: int(reasons[reason]) for reason in MEANING if reason in reasons}
        if left_out:
            cell = {axis: rows[axis].iloc[0] for axis in axes}
            cells.append({"cell": cell, "used": int(reasons.get("", 0)), "left_out": left_out})
    return cells


def left_out(networks: Networks, target: str) -> str:
    """How many runs are left out, by reason, and what to do where something can be done; empty if none is."""
    found = counts(networks)
    parts = [", ".join(f"{count} {reason}" for reason, count in found.items())]
    if OTHER_TARGET in found:
        parts.append(advice(networks.frame[networks.frame[EXCLUDED] == OTHER_TARGET], target))
    if NOT_CONVERGED in found:
        parts.append(
            "Those not converged came to stop.max_epochs before their stopping rule: train longer, or at a higher lr"
        )
    return ". ".join(parts)


def require_some(networks: Networks, target: str) -> None:
    """Raises AnalysisError that counts the reasons if nothing is left to analyze."""
    if not len(networks.used):
        raise AnalysisError(f"none of the {len(networks.frame)} runs can be used: {left_out(networks, target)}")


def _finite(frame: pd.DataFrame, metric: str) -> pd.Series:
    if metric not in frame:
        return pd.Series(False, index=frame.index)
    return pd.Series(np.isfinite(frame[metric].to_numpy(dtype="float64")), index=frame.index)


def _in_sparse_cell(frame: pd.DataFrame, reason: pd.Series, params: tuple[str, ...]) -> pd.Series:
    """Cell = configuration. Its share of converged seeds is over the networks that ended, however they did."""
    ended = frame[reason.isin(["", NOT_CONVERGED, DIVERGED])]
    axes = varied(ended, params)
    converged = (reason[ended.index] == "").astype(float)
    if axes:
        converged = converged.groupby([ended[axis] for axis in axes], dropna=False).transform("mean")
    else:
        converged[:] = converged.mean()
    return (converged < CONVERGED_SHARE).reindex(frame.index, fill_value=False)
