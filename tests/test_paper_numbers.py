"""Numbers of docs/paper.md, computed again from the rows of its networks with pandas and numpy alone."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    return frame[frame["excluded"].isna()].copy()


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


def test_sequel() -> None:
    frame = rows("sequel")
    title, cells = "The authors' sequel: bounds over the number of samples", [NOISE, "stop.fraction"]
    assert f"{len(frame)} networks" in section(title)
    text = found(title, "C7")
    bound = slopes(frame, cells, TRAIN_SIZE, "measure/bartlett")
    gap = np.where(frame[NOISE] > 0, frame[names.GAP_NOISY], frame[names.GAP])
    falling = frame.assign(gap=100 * gap)
    changes = [
        np.mean([np.polyfit(np.log2(seed[TRAIN_SIZE]), seed["gap"], 1)[0] for _, seed in cell.groupby("seed")])
        for _, cell in falling.groupby(cells)
    ]
    ends = f"exponent {number(bound.min())} to {number(bound.max())}"
    assert re.search(f"bartlett: [^.]*{re.escape(ends)}", text)
    assert f"{number(min(changes))} to {number(max(changes))} percentage points per doubling of n" in text


def test_linearized() -> None:
    frame = rows("linearized")
    title = "Why is the distance small? Linearized twins"
    assert f"{len(frame)} networks" in section(title)
    cells = [TRAIN_SIZE, NOISE, WIDTH, "optimizer.lr"]
    pairs = frame.pivot_table(index=[*cells, "seed"], columns="model.linearize", values=names.DISTANCE)
    said(np.log(pairs[False] / pairs[True]).groupby(cells).mean(), found(title, "O1b"))
    twins = frame[frame["model.linearize"]]
    said(slopes(twins, [TRAIN_SIZE, NOISE, "optimizer.lr"], WIDTH, names.DISTANCE), found(title, "O1a"))
    said(slopes(twins, [WIDTH, NOISE, "optimizer.lr"], TRAIN_SIZE, names.DISTANCE), found(title, "O1a"))


def test_intervention() -> None:
    every = pd.read_csv(DOCS / "paper/intervention.csv.gz", low_memory=False)
    frame, title = rows("intervention"), "Is the distance enough? Moving it on purpose"
    text = section(title)
    assert f"{len(every)} networks" in text
    assert f"{len(every) - len(frame)} left out" in text
    alone = frame[frame["constraint.name"] == "none"]
    free = dict(iter(alone.groupby([WIDTH, NOISE, "seed"])))
    for (name, strength), arm in frame[frame["constraint.name"] == "init_shell"].groupby(
        ["constraint.name", "constraint.of_free"]
    ):
        beside = [free[key].iloc[0] for key in zip(arm[WIDTH], arm[NOISE], arm["seed"], strict=True)]
        ratio = np.mean(arm[names.DISTANCE].to_numpy() / [one[names.DISTANCE] for one in beside])
        change = 100 * np.mean(arm[names.GAP_NOISY].to_numpy() - [one[names.GAP_NOISY] for one in beside])
        assert f"| {name} {strength:g} | {len(arm)} | {_two(ratio)} | {_two(change)} |" in text


def _within(frame: pd.DataFrame, groups: list[str], axes: list[str], measure: str, target: str) -> float:
    """Kendall's tau-b over the pairs of configurations of one group."""
    means = frame.groupby([*groups, *axes], dropna=False)[[measure, target]].mean().reset_index()
    agree = x_differs = y_differs = 0.0
    for _, group in means.groupby(groups):
        for one, other in itertools.combinations(group[[measure, target]].to_numpy(), 2):
            x, y = np.sign(one - other)
            agree, x_differs, y_differs = agree + x * y, x_differs + abs(x), y_differs + abs(y)
    return float(agree / np.sqrt(x_differs * y_differs))


def _by_axis(frame: pd.DataFrame, axes: list[str], moved: str, measure: str, target: str) -> float:
    """The same over the pairs that differ in one axis only."""
    others = [axis for axis in axes if axis != moved]
    return _within(frame, others, [moved], measure, target)


@pytest.mark.parametrize(
    ("part", "title", "inner"),
    [
        ("league", "The distance against every other measure", [WIDTH, DEPTH, "optimizer.lr", "optimizer.batch_size"]),
        (
            "league_optimizers",
            "The same across optimizers and scales of the initialization",
            ["optimizer.name", "model.init_scale"],
        ),
    ],
)
def test_league(part: str, title: str, inner: list[str]) -> None:
    if not (DOCS / f"paper/{part}.csv.gz").exists():
        pytest.skip("the page has no such part")
    frame, groups, text = rows(part), [TRAIN_SIZE, NOISE], section(title)
    over_n = frame.assign(normalized=frame[names.DISTANCE] / np.sqrt(frame[TRAIN_SIZE]))
    target = names.GAP_NOISY
    configurations = len(over_n.groupby([*groups, *inner], dropna=False))
    assert f"of {configurations} configurations" in text
    tau = _within(over_n, groups, inner, "normalized", target)
    assert re.search(rf"the distance has places? [\d–]+ of \d+ \({_two(tau)} ", text)
    for axis, name in ((NOISE, "p"), (TRAIN_SIZE, "n"), ("optimizer.lr", "lr"), ("model.init_scale", "init_scale")):
        if axis in [*inner, *groups] and over_n[axis].nunique() > 1:
            moved = _by_axis(over_n, [*groups, *inner], axis, "normalized", target)
            assert re.search(rf"\| [\w.]*{name} \| {_two(moved)} ", text), (axis, moved)


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
