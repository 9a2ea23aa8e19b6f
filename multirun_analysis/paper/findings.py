"""A part's report, as the page speaks of it: claims by their names, the league, and what the networks were."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.errors import AnalysisError
from multirun_analysis.paper.parts import COLUMN, PARTS, Part
from multirun_analysis.report import league_tables
from multirun_analysis.stats.league.league_types import Estimate

Json = dict[str, Any]
WORDS = {"supported": "for", "contradicted": "against", "undecided": "open", "untested": "not tested"}
SECTIONS = ("dataset.", "model.", "noise.", "loss.", "optimizer.", "constraint.", "stop.")
UNFINISHED = "unfinished"  # why such a run is left out
# What a reader asks of a part's networks first, where it is the same for all of them.
SETTINGS = (
    *("dataset.name", "dataset.train_size", "model.name", "model.depth", "model.width", "model.activation"),
    *("optimizer.name", "optimizer.lr", "optimizer.momentum", "optimizer.batch_size", "loss.name", "stop.train_loss"),
    *("noise.name", "noise.level"),
)


@dataclass(frozen=True)
class Findings:
    """One part: what `folder`, which its analysis wrote, holds."""

    part: Part
    folder: Path
    report: Json

    @cached_property
    def experiment(self) -> Json:
        found: Json = self.report["experiments"][0]
        return found

    @cached_property
    def results(self) -> Json:
        found: Json = self.experiment["results"]
        return found

    @cached_property
    def runs(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "runs.csv", low_memory=False)

    @cached_property
    def claims(self) -> dict[str, Json]:
        """Name -> the claim; and its parts."""
        single = [each for claim in self.results["claims"] for each in (claim, *claim["parts"])]
        return {claim["claim"]["id"]: claim for claim in single}

    @property
    def networks(self) -> str:
        """`120 networks: digits, mnist; width 32, 128; ...`: the axes that vary."""
        varied = self._named(self.axes)
        reasons = {why: number for why, number in self.experiment["left_out"].items() if why != UNFINISHED}
        left = sum(reasons.values())
        out = f"; {left:,} left out ({_counts(reasons)})" if left else ""
        some = "" if self.crossed else "; not every combination"
        return f"{self.number:,} networks ({'; '.join(varied)}{some}){out}"

    @property
    def settings(self) -> str:
        """`dataset digits; model mlp; ...`: what is the same for all networks."""
        return "; ".join(self._named([key for key in SETTINGS if self.runs[key].nunique() == 1]))

    @property
    def crossed(self) -> bool:
        """Whether every value of an axis was combined with every value of the others."""
        combinations = self.runs[self.axes].drop_duplicates()
        return len(combinations) == math.prod(self.runs[axis].nunique(dropna=False) for axis in self.axes)

    def _named(self, keys: Sequence[str]) -> list[str]:
        return [f"{_short(key)} {_values(self.runs[key])}" for key in keys]

    @property
    def number(self) -> int:
        """How many networks: a run that was stopped is that of a network which was trained again."""
        runs: int = self.experiment["runs"] - self.experiment["left_out"].get(UNFINISHED, 0)
        return runs

    @property
    def axes(self) -> list[str]:
        """Config keys in which the networks differ, and the seed."""
        keys = [key for key in map(str, self.runs) if key.startswith(SECTIONS) or key == names.SEED]
        return [key for key in keys if self.runs[key].nunique() > 1]

    @property
    def figures(self) -> list[str]:
        """Those of its figures that could be drawn."""
        return [name for name in self.part.figures if (self.folder / "figures" / f"{name}.png").exists()]

    def caption(self, figure: str) -> str:
        text: str = self.experiment["figures"][figure]
        return text

    def narrow_caption(self, figure: str) -> str:
        """Of the figure that is as wide as a column, where there is one."""
        return self._narrow.get(figure) or self.caption(figure)

    @cached_property
    def _narrow(self) -> dict[str, str]:
        file = self.folder / COLUMN / "statistics.json"
        found: dict[str, str] = _read(file)["experiments"][0]["figures"] if file.exists() else {}
        return found

    @property
    def commands(self) -> str:
        """What trains and judges the part by hand."""
        name = self.experiment["experiment"]
        train = f"python -m initdist.train experiment={name}"
        first = [f"{train} {' '.join(self.part.before)}"] if self.part.before else []
        return "\n".join([*first, train, f"python -m multirun_analysis tracking.experiment={name}"])

    def arms(self) -> list[tuple[str, int, str, str]]:
        """Of networks whose distance was moved: arm, networks, distance over that of the same network left alone, and
        how much larger its gap is, in percentage points; means over all networks of the arm."""
        used = self.runs[self.runs["excluded"].isna()]
        same = [key for key in self.axes if not key.startswith("constraint.")]
        free = used[used["constraint.name"] == "none"].set_index(same)[[names.DISTANCE, names.GAP_NOISY]]
        moved = used[used["constraint.name"] != "none"]
        beside = free.reindex(pd.MultiIndex.from_frame(moved[same]))
        ratio = moved[names.DISTANCE] / beside[names.DISTANCE].to_numpy()
        change = 100 * (moved[names.GAP_NOISY] - beside[names.GAP_NOISY].to_numpy())
        strength = moved["constraint.of_free"].fillna(moved["constraint.decay"])
        label = moved["constraint.name"] + " " + strength.map(labels.value)
        table = pd.DataFrame({"arm": label, "ratio": ratio, "change": change}).groupby("arm", sort=False)
        return [
            (str(arm), len(found), labels.fixed(found["ratio"].mean()), labels.fixed(found["change"].mean()))
            for arm, found in table
        ]

    @cached_property
    def league(self) -> League:
        return League(self.results["league"])


@dataclass(frozen=True)
class League:
    """A league table of statistics.json."""

    table: Json

    @cached_property
    def rows(self) -> list[Json]:
        """Measures with a place of their own, best first."""
        return [row for row in self.table["rows"] if "tau_within" in row["ranks"] and not row["same_as"]]

    @cached_property
    def distance(self) -> Json:
        return next(row for row in self.table["rows"] if row["measure"] == names.DISTANCE)

    def top(self, number: int) -> list[Json]:
        """The first rows, and the distance's in any case."""
        first = self.rows[:number]
        return first if self.distance in first else [*first, self.distance]

    def partly(self, number: int) -> bool:
        """Whether one of the first rows is of some of the configurations only."""
        return any(self.configurations(row) for row in self.top(number))

    @property
    def place(self) -> str:
        """`place 4 of 58`, or `places 1–7 of 58`."""
        first = self.distance["ranks"]["tau_within"]
        last = first + sum(row["ranks"]["tau_within"] == first for row in self.rows) - 1
        return f"place {first} of {len(self.rows)}" if last == first else f"places {first}–{last} of {len(self.rows)}"

    @property
    def ladder(self) -> list[tuple[str, str, str]]:
        """Each rung for the distance: name, verdict, reason."""
        return [(rung["name"], rung["verdict"], rung["reason"]) for rung in self.distance["rungs"]]

    def reaching(self, rung: str) -> list[str]:
        """The measures for which this rung is supported."""
        return [
            r["measure"]
            for r in self.rows
            if any(o["name"] == rung and o["verdict"] == "supported" for o in r["rungs"])
        ]

    @property
    def hyperparameters(self) -> Json:
        found: Json = self.table["baseline"]
        return found

    @property
    def better_than_hyperparameters(self) -> list[str]:
        """Measures whose tau within groups is larger than that of the hyperparameters alone."""
        alone = self.hyperparameters["tau_within"]["value"]
        return [row["measure"] for row in self.rows if alone is not None and row["tau_within"]["value"] > alone]

    @property
    def axes(self) -> list[str]:
        """Those in which some pair of configurations differs alone: an optimizer's rate never moves alone."""
        return [axis for axis, tau in self.distance["psi"]["by_axis"].items() if tau["value"] is not None]

    def by_axis(self) -> str:
        """`Where only n or width moves, the distance goes with the gap; where only lr moves, it goes the other way.`"""
        by_axis = self.distance["psi"]["by_axis"]
        said: list[str] = []
        for verdicts, how in (
            (("positive",), "goes with the gap"),
            (("negative",), "goes the other way"),
            (("includes 0", "undecided"), "is not shown to go with the gap"),
        ):
            axes = [labels.short(axis) for axis in self.axes if by_axis[axis]["verdict"] in verdicts]
            if axes:
                said.append(f"where only {' or '.join(axes)} moves, {'it' if said else 'the distance'} {how}")
        return f"{labels.capital('; '.join(said))}." if said else ""

    def configurations(self, row: Json) -> str:
        """`99 of 196`, where a measure is not known of all; empty where it is."""
        known, every = row["configurations"], self.table["configurations"]
        return f" ({known} of {every})" if known < every else ""

    def best(self, axis: str) -> Json:
        """The measure with the largest tau where only this axis moves."""
        there = [row for row in self.rows if (row["psi"]["by_axis"].get(axis) or {}).get("value") is not None]
        return max(there, key=lambda row: row["psi"]["by_axis"][axis]["value"])


def load(folder: Path) -> dict[str, Findings]:
    """Name -> the parts whose reports are in `folder`. Raises AnalysisError if there is none."""
    found = {}
    for part in PARTS:
        file = folder / part.name / "statistics.json"
        if file.exists():
            found[part.name] = Findings(part, file.parent, _read(file))
    if not found:
        raise AnalysisError(f"{folder} must hold the report of a part at least, got none; run without --page")
    return found


def _read(file: Path) -> Json:
    found: Json = json.loads(file.read_text(encoding="utf-8"))
    return found


def estimate(item: Mapping[str, Any] | None) -> str:
    """A rank statistic with its interval."""
    return "–" if item is None else league_tables.estimate(Estimate(item["value"], item["low"], item["high"]))


def effect(claim: Json) -> str:
    """A claim's mean effect with its interval and unit; where there is no mean over its cells, their range."""
    if claim["overall"] is None and claim["smallest"] is not None:
        return f"{labels.number(claim['smallest'])} to {labels.number(claim['largest'])}"
    points = " points" if labels.POINTS in claim["claim"]["unit"] and claim["overall"] is not None else ""
    return f"{_around(claim['overall'], claim['overall_interval'])}{points}"


def interval(cell: Json) -> str:
    """The effect in a cell, with its interval."""
    return _around(cell["effect"], cell["interval"])


def _around(value: float | None, ends: Json | None) -> str:
    return labels.interval(value, None if ends is None else SimpleNamespace(**ends))


def bound(claim: Json) -> str:
    """`below 0.05`, `within ±0.05` or `from 0.5 to 1.5`: where the effect must lie for the claim."""
    one = claim["claim"]
    if one["side"] != "within":
        return f"{one['side']} {labels.value(one['margin'])}"
    if one["centre"]:
        return " to ".join(labels.value(one["centre"] + side * one["margin"]) for side in (-1, 1))
    return f"within ±{labels.value(one['margin'])}"


def cells(claim: Json) -> str:
    """`8 for, 0 against, 1 open, 0 untested`."""
    return _tally(claim["counts"]) or "none"


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[key]} {word}" for key, word in WORDS.items() if counts.get(key))


def by_level(claim: Json) -> list[str]:
    """`dataset: digits −0.10, mnist −0.11`: for each axis of the cells the mean effect at each of its levels. Where the
    cells have no common mean, their verdicts: `p: 0: 6 against, 2 open; 0.25: 8 for`, if they differ."""
    if claim["overall"] is not None:
        tested = [cell for cell in claim["cells"] if cell["effect"] is not None and cell["verdict"] != "untested"]
        return [f"{axis}: {', '.join(f'{at} {_mean(cells)}' for at, cells in own)}" for axis, own in _levels(tested)]
    if len({cell["verdict"] for cell in claim["cells"]}) < 2:
        return []
    return [f"{axis}: {'; '.join(f'{at}: {_verdicts(c)}' for at, c in own)}" for axis, own in _levels(claim["cells"])]


def _levels(cells: Sequence[Json]) -> Iterator[tuple[str, list[tuple[str, list[Json]]]]]:
    """Each axis in which cells differ, with the cells at each of its levels."""
    for axis in dict.fromkeys(key for cell in cells for key in cell["cell"]):
        levels: dict[str, list[Json]] = {}
        for cell in cells:
            levels.setdefault(labels.value(cell["cell"].get(axis)), []).append(cell)
        if len(levels) > 1:
            yield labels.short(axis), list(levels.items())


def _verdicts(cells: Sequence[Json]) -> str:
    return _tally(Counter(cell["verdict"] for cell in cells))


def _mean(cells: Sequence[Json]) -> str:
    return labels.number(sum(cell["effect"] for cell in cells) / len(cells))


def _short(key: str) -> str:
    """A config key as a reader knows it: `width`, `momentum`; `stop.train_loss`, since that could be anything."""
    short = labels.short(key)
    return short.rpartition(".")[2] if short.startswith(("model.", "dataset.", "optimizer.")) else short


def _values(column: pd.Series) -> str:
    found = sorted(column.dropna().unique().tolist(), key=lambda item: (isinstance(item, str), item))
    return labels.listing([labels.value(item) for item in found], 12)


def _counts(left: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in left.items())


def claims_of(parts: Mapping[str, Findings]) -> dict[str, Json]:
    """Claim -> how its own part judged it, in the order of the paper."""
    found = {name: one.claims[name] for one in parts.values() for name in one.part.claims if name in one.claims}
    return dict(sorted(found.items()))
