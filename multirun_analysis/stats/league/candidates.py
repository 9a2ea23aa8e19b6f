"""The measures that a frame holds, normalized across training sizes and oriented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import OVER_SQRT_N
from multirun_analysis.runs.params import TRAIN_SIZE, measures_of
from multirun_analysis.stats.catalogue import Entry, entry
from multirun_analysis.stats.league.definitions import of_one_definition, recorded


@dataclass(frozen=True)
class Candidates:
    """values [networks, measures]: larger predicts a larger gap. NaN: undefined. +infinity: gamma <= 0, worst rank."""

    entries: tuple[Entry, ...]
    values: np.ndarray
    unranked: tuple[str, ...]  # in the frame, but defined for no network
    notes: tuple[str, ...] = ()  # on measures that some networks have with another definition


def candidates(
    frame: pd.DataFrame, catalogue: Mapping[str, Entry], measures: Sequence[str] | None = None
) -> Candidates:
    """All totals (`measure/<name>`) and distance_from_init, or the named ones. Raises ValueError for an unknown."""
    order = [names.DISTANCE, *catalogue]
    found = sorted(measures_of(frame), key=lambda name: order.index(name) if name in order else len(order))
    twin = OVER_SQRT_N.removeprefix(names.MEASURE)  # the distance as it is normalized here: each quantity once
    if names.DISTANCE in found and twin in found and twin not in (measures or ()):
        found.remove(twin)
    unknown = sorted(set(measures or ()) - set(found))
    if unknown:
        raise ValueError(f"measures must be among {', '.join(found)}, got {', '.join(unknown)}")
    entries = [entry(name, catalogue) for name in found if measures is None or name in measures]
    size = frame[TRAIN_SIZE].to_numpy(dtype=float)
    options = recorded(frame)
    single = [of_one_definition(item.name, frame[item.column].to_numpy(dtype=float), options) for item in entries]
    columns = [oriented(values, size, item) for (values, _), item in zip(single, entries, strict=True)]
    empty = [np.isnan(column).all() for column in columns]
    kept = [column for column, nothing in zip(columns, empty, strict=True) if not nothing]
    return Candidates(
        tuple(item for item, nothing in zip(entries, empty, strict=True) if not nothing),
        np.column_stack(kept) if kept else np.empty((len(frame), 0)),
        tuple(item.name for item, nothing in zip(entries, empty, strict=True) if nothing),
        tuple(note for _, note in single if note),
    )


def oriented(mu: np.ndarray, size: np.ndarray, item: Entry) -> np.ndarray:
    """A measure's values [networks] over `size` training samples, comparable and with the sign it predicts.

    +infinity stays the worst rank whatever the orientation. A negative mu has no square root: undefined.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        if item.normalization == "root":
            value = mu / np.sqrt(size)
        elif item.normalization == "square":
            value = np.sqrt(mu / size)
        elif item.normalization == "log":
            value = (mu - np.log(size)) / 2
        else:
            value = mu.astype(float)
        return np.where(np.isposinf(mu), np.inf, item.orientation * value)
