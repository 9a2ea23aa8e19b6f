"""Numbers of docs/paper.md, computed again from the rows of its networks with pandas and numpy alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import number

DOCS = Path(__file__).parent.parent / "docs"
WIDTH, TRAIN_SIZE, NOISE, DATASET, DEPTH = (
    "model.width",
    "dataset.train_size",
    "noise.level",
    "dataset.name",
    "model.depth",
)


def rows(part: str) -> pd.DataFrame:
    """The networks of a part that its statistics rest on."""
    frame = pd.read_csv(DOCS / "paper" / f"{part}.csv.gz", low_memory=False)
    return frame[frame["excluded"].isna()]


def section(title: str) -> str:
    """The text of a section, markup of Markdown taken out."""
    text = (DOCS / "paper.md").read_text(encoding="utf-8").replace("\\", "")
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def found(title: str, claim: str) -> str:
    """What a section says of a claim."""
    return re.split(r"^### ", section(title).partition(f"### {claim}: ")[2], flags=re.MULTILINE)[0]


def slopes(frame: pd.DataFrame, cells: list[str], axis: str, quantity: str, log_axis: bool = True) -> pd.Series:
    """Of the log of a quantity on an axis: in each cell the mean over seeds of each seed's own least-squares slope."""

    def slope(one: pd.DataFrame) -> float:
        x = np.log(one[axis]) if log_axis else one[axis]
        return float(np.polyfit(x, np.log(one[quantity]), 1)[0])

    def mean(cell: pd.DataFrame) -> float:
        return float(np.mean([slope(one) for _, one in cell.groupby("seed")]))

    found = {key: mean(cell) for key, cell in frame.groupby(cells, dropna=False) if cell[axis].nunique() > 1}
    return pd.Series(found)


def said(effects: pd.Series, text: str) -> None:
    """The mean and the range over cells are those of the text."""
    assert f"mean {number(effects.mean())} over the {len(effects)} tested cells" in text
    low, high = sorted((effects.min(), effects.max()))
    assert f"range over the same cells {number(low)} to {number(high)}" in text


def test_width() -> None:
    frame, cells = rows("width"), [DATASET, DEPTH, NOISE]
    text = section("Width")
    assert f"{len(pd.read_csv(DOCS / 'paper/width.csv.gz', low_memory=False))} networks" in text
    said(slopes(frame, cells, WIDTH, names.DISTANCE), found("Width", "C1a"))
    norm = frame.assign(norm=np.sqrt(frame["measure/param_norm"]))
    assert number(slopes(norm, cells, WIDTH, "norm").min()) in found("Width", "C2")

    def ends(cell: pd.DataFrame) -> float:
        by_seed = cell.pivot_table(index="seed", columns=WIDTH, values=names.TEST_ERROR)
        return float(100 * (by_seed[max(by_seed)] - by_seed[min(by_seed)]).mean())

    said(pd.Series({key: ends(cell) for key, cell in frame.groupby(cells)}), found("Width", "C5"))


def test_samples() -> None:
    frame = rows("samples")
    assert f"{len(frame)} networks" in section("Training samples")
    said(slopes(frame, [DATASET, WIDTH, NOISE], TRAIN_SIZE, names.DISTANCE), found("Training samples", "C3"))


def test_labels() -> None:
    frame = rows("labels")
    assert f"{len(frame)} networks" in section("Corrupted labels")
    effects = slopes(frame, [DATASET, WIDTH], NOISE, names.DISTANCE, log_axis=False)
    said(effects, found("Corrupted labels", "C4"))


def test_capacity() -> None:
    frame = rows("capacity")
    effects = slopes(frame, [DATASET, "model.name"], WIDTH, "measure/capacity_init_ball")
    said(effects, found("The capacity of a ball", "C6"))
    assert f"{len(frame)} networks" in section("The capacity of a ball")
