"""The one target of an analysis, and the networks whose generalization gap it is not.

A network's own generalization gap is that between its training set and fresh samples of the same kind. Under label
noise it is `generalization_gap_noisy`. Under input noise, which the test inputs undergo as well, it is
`generalization_gap`, and the noisy one does not exist. On clean labels both are the same number.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from initdist import names
from multirun_analysis.runs.endings import FINISHED, diverged, superseded
from multirun_analysis.runs.params import NOISE_LEVEL, NOISE_NAME
from multirun_analysis.runs.read import INVALID, STATUS, Networks


@dataclass(frozen=True)
class Gaps:
    """Masks [runs]. noisy: trained on noisy labels, with the gap under noise. without: with no gap but the clean one.

    usable: finished, readable, not diverged and no duplicate: those that the default target is chosen by.
    """

    noisy: pd.Series
    without: pd.Series
    usable: pd.Series

    @property
    def counts(self) -> tuple[int, int]:
        """Of the usable networks: how many noisy, how many without."""
        return int((self.noisy & self.usable).sum()), int((self.without & self.usable).sum())


def gaps(frame: pd.DataFrame) -> Gaps:
    """Which generalization gap is whose."""
    clean, noisy = (_there(frame, metric) for metric in (names.GAP, names.GAP_NOISY))
    level = frame[NOISE_LEVEL] > 0 if NOISE_LEVEL in frame else pd.Series(False, index=frame.index)
    usable = (frame[STATUS] == FINISHED) & (frame[INVALID] == "") & ~diverged(frame) & ~superseded(frame)
    return Gaps(level & noisy, clean & ~noisy, usable)


def default_target(networks: Networks) -> str:
    """The gap under noise where networks were trained on noisy labels, else the gap.

    Where some of the networks have no gap under noise, it is the target of the two that leaves out fewer networks; at a
    tie the gap under noise. So neither kind of noise sets the target against a larger number of networks of the other.

    Under label noise the clean gap is no generalization gap: a network held back from fitting noise looks good in it.
    """
    noisy, without = gaps(networks.frame).counts
    return names.GAP_NOISY if noisy and noisy >= without else names.GAP


def why_default(networks: Networks) -> str:
    """Why `default_target` is what it is: `labels are noisy here, ...`."""
    noisy, without = gaps(networks.frame).counts
    if default_target(networks) == names.GAP_NOISY:
        return "labels are noisy here, and the gap on clean labels is no generalization gap then"
    if noisy:
        return (
            f"{without:,} networks were trained under noise for which there is no {names.GAP_NOISY}, "
            f"and only {noisy:,} on noisy labels"
        )
    return "no network was trained on noisy labels"


def of_another(frame: pd.DataFrame, target: str, asked: bool) -> pd.Series:
    """Networks whose own generalization gap is not the target. Who asks for the clean gap gets it of every network."""
    found = gaps(frame)
    if target == names.GAP_NOISY:
        return found.without & (noise_names(frame) != names.LABEL_NOISE)
    if target == names.GAP and not asked:
        return found.noisy
    return pd.Series(False, index=frame.index)


def advice(left_out: pd.DataFrame, target: str) -> str:
    """What to do for the networks that `of_another` leaves out."""
    if target != names.GAP_NOISY:
        return (
            f"{names.GAP} is no generalization gap on noisy labels: target={names.GAP_NOISY} uses the networks "
            f"trained on them, target={names.GAP} uses every network all the same"
        )
    kinds = ",".join(sorted(set(noise_names(left_out))))
    return (
        f"{names.GAP_NOISY} exists for noise={names.LABEL_NOISE} only: target={names.GAP} uses every network, "
        f"where.{NOISE_NAME}={kinds} uses those left out alone"
    )


def noise_names(frame: pd.DataFrame) -> pd.Series:
    """The kind of noise [runs] of each network; runs without the param are of a time when there was one."""
    if NOISE_NAME not in frame:
        return pd.Series(names.LABEL_NOISE, index=frame.index)
    return frame[NOISE_NAME].fillna(names.LABEL_NOISE).astype(str)


def _there(frame: pd.DataFrame, metric: str) -> pd.Series:
    return frame[metric].notna() if metric in frame else pd.Series(False, index=frame.index)
