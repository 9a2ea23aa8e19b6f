"""What a report is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multirun_analysis import labels
from multirun_analysis.report.rendering import Rendered
from multirun_analysis.runs.arms import observed
from multirun_analysis.runs.exclusions import counts
from multirun_analysis.runs.read import Networks
from multirun_analysis.stats import LeagueTable, Results


@dataclass(frozen=True)
class Material:
    """One experiment. asked_target: whether the user named the target. folder: its figures' place under figures/."""

    networks: Networks
    results: Results
    drawings: Sequence[Rendered]
    asked_target: bool = True
    folder: str = ""

    @property
    def title(self) -> str:
        """Names the experiment or the sweep."""
        source = self.networks.source
        return f"{source.experiment}, sweep {source.sweep}" if source.sweep else source.experiment

    @property
    def counts(self) -> dict[str, int]:
        """Why runs are left out -> how many."""
        return counts(self.networks)

    def picture(self, name: str) -> str:
        """A figure's path under figures/ without extension."""
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class Report:
    """Experiments side by side, mostly one. command: the shell line that makes it again; ui_url: the MLflow UI.

    comparison: the figure of several experiments; where: the filter, config key -> what was asked for.
    """

    parts: Sequence[Material]
    command: str
    ui_url: str
    where: Mapping[str, Any]
    comparison: Rendered | None = None

    @property
    def title(self) -> str:
        return " and ".join(part.title for part in self.parts)

    @property
    def tables(self) -> dict[str, LeagueTable]:
        """Experiment -> its league table, where it has one."""
        return {p.networks.source.experiment: p.results.league for p in self.parts if p.results.league}


def folder_of(experiment: str, place: int, several: bool) -> str:
    """A folder name for an experiment's figures; empty where there is one experiment."""
    return f"{place + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', experiment).strip('-') or 'experiment'}" if several else ""


def summary(material: Material) -> str:
    """One sentence on what was analyzed."""
    source = material.networks.source
    used, frame = len(material.networks.used), material.networks.frame
    configurations = labels.count(len(material.results.means), "configuration")
    text = f"{used:,} of {labels.count(len(frame), 'run')} used, {configurations}"
    varied = [labels.short(axis) for axis in material.results.design.axes]
    text += f"; varied: {', '.join(varied) or 'nothing but seeds'}."
    moved = used - len(observed(material.networks.used))
    if moved:
        text += f" The distance of {labels.count(moved, 'network')} was moved: only claims O2 and O2' are about these."
    return f"{text} {source.filtered:,} further runs do not meet the filter." if source.filtered else text
