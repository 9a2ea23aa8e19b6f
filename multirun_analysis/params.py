"""MLflow params are strings: this module gives them types, column by column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from initdist import names

WIDTH = "model.width"
DEPTH = "model.depth"
TRAIN_SIZE = "dataset.train_size"
NOISE_LEVEL = "noise.level"
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
)
MISSING = {"None", "null", ""}


def is_seed(param: str) -> bool:
    """Whether a param only distinguishes replicates of one configuration."""
    return param == names.SEED or param.startswith("seeds.")


def params_of(frame: pd.DataFrame) -> list[str]:
    """The config columns of a frame of networks: dotted names, and `seed`."""
    columns = [name for name in frame if isinstance(name, str)]
    return [name for name in columns if name == names.SEED or ("." in name and "/" not in name)]


def unparsable(params: Mapping[str, str]) -> str:
    """What is wrong with a run's params, or the empty string."""
    for name in REQUIRED:
        if params.get(name, "") in MISSING:
            return f"{name} is missing"
    for name in NUMERIC:
        text = params.get(name, "")
        if text in MISSING:
            continue
        value = _number(text)
        if value is None or not math.isfinite(value):
            return f"{name}={text!r} is not a number"
        if name in REQUIRED and value <= 0:
            return f"{name}={text!r} is not positive"
    return ""


def typed(values: Sequence[str | None], index: pd.Index, numeric: bool = False) -> pd.Series:
    """One param over all runs: whole numbers, numbers or truth values where every value is one, else text.

    A missing param and the text None are the same: a missing value. With numeric, what is no number becomes missing.
    """
    texts = [None if value is None or value in MISSING else value for value in values]
    present = [text for text in texts if text is not None]
    if numeric or (present and all(_number(text) is not None for text in present)):
        numbers = [None if text is None else _number(text) for text in texts]
        series = pd.Series(numbers, index=index, dtype="float64")
        whole = series.notna().all() and (series == series.round()).all() and (series.abs() < 2**53).all()
        return series.astype("int64") if whole and len(series) else series
    if present and set(present) <= {"True", "False", "true", "false"}:
        return pd.Series([None if text is None else text.lower() for text in texts], index=index, dtype="object")
    return pd.Series(texts, index=index, dtype="object")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
