"""MLflow params are strings: this module gives them types, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from initdist import names
from initdist.cli.conditions import MISSING, number_of

WIDTH = "model.width"
DEPTH = "model.depth"
LINEARIZE = "model.linearize"
TRAIN_SIZE = "dataset.train_size"
NOISE_LEVEL = "noise.level"
NOISE_NAME = "noise.name"
STOP_LOSS = "stop.train_loss"
STOP_FRACTION = "stop.fraction"
STOP_ERROR = "stop.train_error"

REQUIRED = (WIDTH, TRAIN_SIZE)  # positive numbers that every network has
NUMERIC = (
    *REQUIRED,
    DEPTH,
    NOISE_LEVEL,
    "optimizer.lr",
    "optimizer.batch_size",
    "optimizer.momentum",
    "optimizer.beta1",
    "optimizer.beta2",
    "optimizer.eps",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
    "optimizer.schedule_epochs",
    "optimizer.schedule_factor",
    STOP_LOSS,
    "stop.margin",
    STOP_FRACTION,
    STOP_ERROR,
    "stop.max_epochs",
    "model.init_scale",
    "model.output_scale",
    "model.init_offset",
    "constraint.radius",
    "constraint.of_free",
    "constraint.decay",
)


def is_seed(param: str) -> bool:
    """Whether a param only distinguishes replicates of one configuration."""
    return param == names.SEED or param.startswith("seeds.")


def params_of(frame: pd.DataFrame) -> list[str]:
    """The config columns of a frame of networks: dotted names, and `seed`."""
    columns = [name for name in frame if isinstance(name, str)]
    return [name for name in columns if name == names.SEED or ("." in name and "/" not in name)]


def varied(frame: pd.DataFrame, params: Iterable[str]) -> list[str]:
    """The params that differ between networks, seeds excepted."""
    return [name for name in params if not is_seed(name) and frame[name].nunique(dropna=False) > 1]


def measures_of(frame: pd.DataFrame) -> list[str]:
    """The measures that a league table can rank: the distance, and every total `measure/<name>`."""
    columns = [name for name in frame if isinstance(name, str) and name.startswith(names.MEASURE)]
    totals = [name.removeprefix(names.MEASURE) for name in columns if name.count("/") == 1]
    return [*([names.DISTANCE] if names.DISTANCE in frame else []), *sorted(totals)]


def unparsable(params: Mapping[str, np.ndarray], runs: int) -> list[str]:
    """For each run what is wrong with its params, or the empty string. params: texts or None, [runs] each."""
    wrong = [""] * runs
    for name in NUMERIC:
        if name not in params and name not in REQUIRED:
            continue
        texts = params.get(name, np.full(runs, None, dtype=object)).tolist()
        said = {text: _complaint(name, text) for text in set(texts)}
        for at in [at for at, text in enumerate(texts) if said[text] and not wrong[at]]:
            wrong[at] = said[texts[at]]
    return wrong


def _complaint(name: str, text: str | None) -> str:
    if text is None or text in MISSING:
        return f"{name} is missing" if name in REQUIRED else ""
    value = number_of(text)
    if value is None or not math.isfinite(value):
        return f"{name}={text!r} is not a number"
    return f"{name}={text!r} is not positive" if name in REQUIRED and value <= 0 else ""


def completed(name: str, values: np.ndarray) -> np.ndarray:
    """A param [runs] with what runs that are older than its key had: else these would be networks of another kind."""
    absent = np.array([value is None for value in values], dtype=bool)
    if not absent.any() or absent.all():
        return values
    from initdist.cli.where import before  # which imports the configs: mostly nothing is absent

    text = before(name)
    return values if text in MISSING else np.where(absent, text, values)


def typed(values: Sequence[str | None] | np.ndarray, index: pd.Index, numeric: bool = False) -> pd.Series:
    """One param over all runs: whole numbers, numbers or truth values where every value is one, else text.

    A missing param and the text None are the same: a missing value. With numeric, what is no number becomes missing.
    """
    codes, found = pd.factorize(np.asarray(values, dtype=object))
    texts = [text for text in found if text not in MISSING]
    numbers = {text: number_of(text) for text in texts}
    if numeric or (texts and all(number is not None for number in numbers.values())):
        return _whole(_mapped(codes, [numbers.get(text) for text in found], index).astype("float64"))
    truths = bool(texts) and set(texts) <= {"True", "False", "true", "false"}
    shown = [None if text in MISSING else text.lower() if truths else text for text in found]
    return _mapped(codes, shown, index)


def _mapped(codes: np.ndarray, levels: Sequence[object], index: pd.Index) -> pd.Series:
    """The level of each code; code -1 is missing."""
    table = np.array([*levels, None], dtype=object)
    return pd.Series(table[codes], index=index, dtype="object")


def _whole(series: pd.Series) -> pd.Series:
    whole = series.notna().all() and (series == series.round()).all() and (series.abs() < 2**53).all()
    return series.astype("int64") if whole and len(series) else series
