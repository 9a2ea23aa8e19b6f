"""One definition a measure: values of another version or of other options are not compared with each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from initdist import catalogue, names
from multirun_analysis.runs.read import MEASURE_OPTIONS

VERSION = "version"


def single(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with NaN where a measure has another definition than the one that counts."""
    if MEASURE_OPTIONS not in frame or frame[MEASURE_OPTIONS].nunique(dropna=False) < 2:
        return frame
    options, changed = recorded(frame), {}
    for column in (name for name in map(str, frame.columns) if name.startswith(names.MEASURE)):
        values, note = of_one_definition(column.split("/")[1], frame[column].to_numpy(dtype=float), options)
        if note:
            changed[column] = values
    return frame.assign(**changed)


def recorded(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """For each network its measures' options; empty where none can be read."""
    texts = frame[MEASURE_OPTIONS] if MEASURE_OPTIONS in frame else pd.Series([None] * len(frame))
    codes, unique = pd.factorize(texts.where(texts.notna(), "").astype(str))
    read = [catalogue.recorded({names.MEASURES: str(text)}) for text in unique]
    return [read[int(code)] for code in codes]


def of_one_definition(measure: str, values: np.ndarray, options: Sequence[dict[str, Any]]) -> tuple[np.ndarray, str]:
    """values [networks] with NaN where they have another definition than the one that counts, and a note on these.

    What counts is the definition that most networks have, at a tie the newest version.
    """
    present = np.flatnonzero(~np.isnan(values))
    keys = {k: _key(options[k].get(measure)) for k in present.tolist()}
    number = Counter(keys.values())
    if len(number) < 2:
        return values, ""
    best = max(number, key=lambda key: (number[key], key))
    other = [k for k, key in keys.items() if key != best]
    kept = values.copy()
    kept[other] = np.nan
    how = f"version {best[0]}" if len({key[0] for key in number}) > 1 else f"options {best[1]}"
    count, take = ("1 network has", "takes") if len(other) == 1 else (f"{len(other)} networks have", "take")
    said = f"{measure} is compared as {how}: {count} another definition of it and {take} no part"
    return kept, f"{said} (initdist.measure computes it anew)."


def _key(options: Any) -> tuple[int, str]:
    """Version, and the other options as text. Values recorded before there were versions have version 1."""
    own = dict(options) if isinstance(options, dict) else {}
    version = own.pop(VERSION, 1)
    return version if isinstance(version, int) else 1, json.dumps(own, sort_keys=True)
