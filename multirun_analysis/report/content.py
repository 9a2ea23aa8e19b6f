"""The report's blocks, the answer first."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from initdist import names
from multirun_analysis import labels
from multirun_analysis.figures import Drawing
from multirun_analysis.query import COMMIT, VERSION, Networks
from multirun_analysis.report import tables
from multirun_analysis.report.answer import answer, remarks
from multirun_analysis.report.document import Block, Bullets, Code, Heading, Picture, Text
from multirun_analysis.selection import MEANING
from multirun_analysis.stats import Results
from multirun_analysis.store import masked

PACKAGES = ("initdist", "mlflow", "numpy", "pandas", "scipy", "seaborn", "matplotlib", "hydra-core")

EXPLANATION = (
    "Points are configuration means, but for the slope across seeds, where they are networks. Within groups: an "
    "intercept for each group. Across seeds: an intercept for each configuration. Width only: all other axes "
    "fixed, so the width itself is confounded with the measure. Controlled: all varied axes as linear terms. Per "
    "sd: the change in percentage points for one standard deviation of what varies of the measure. Clustered: the "
    "interval with CR2 standard errors and Satterthwaite degrees of freedom, clusters in parentheses (data and "
    "noise cells; seeds for the slope across seeds). Under 6 configurations or clusters: undecided, no interval."
)


@dataclass(frozen=True)
class Material:
    """Everything a report is made of; command: the shell line that makes it again."""

    networks: Networks
    counts: Mapping[str, int]
    by_cell: Sequence[dict[str, Any]]
    results: Results
    drawings: Sequence[Drawing]
    command: str


def title(material: Material) -> str:
    """Names the experiment or the sweep."""
    source = material.networks.source
    return f"{source.experiment}, sweep {source.sweep}" if source.sweep else source.experiment


def summary(material: Material) -> str:
    """One sentence on what was analyzed."""
    used, frame = len(material.networks.used), material.networks.frame
    configurations = labels.count(len(material.results.means), "configuration")
    text = f"{used} of {labels.count(len(frame), 'run')} used, {configurations}"
    varied = [labels.short(axis) for axis in material.results.design.axes]
    return f"{text}; varied: {', '.join(varied) or 'nothing but seeds'}."


def blocks(material: Material) -> list[Block]:
    """The whole report."""
    results = material.results
    parts: list[Block] = [Text(answer(results), lead=True), Text(summary(material)), Bullets(remarks(results))]
    if not remarks(results):
        parts.pop()
    parts += [Heading("Figures"), *_figures(material.drawings)]
    parts += [Heading("Regressions"), *_regressions(results)]
    parts += [Heading("Exponents in width and sample size"), *_exponents(results)]
    parts += [Heading("Configurations"), tables.cells(results)]
    parts += [Heading("Left out"), *_left_out(material)]
    return [*parts, Heading("Reproduce"), *_reproduce(material)]


def _figures(drawings: Sequence[Drawing]) -> list[Block]:
    parts: list[Block] = [Picture(d.name, d.title, d.caption) for d in drawings if d.figure is not None]
    absent = [f"{d.title}: left out, {d.caption}." for d in drawings if d.figure is None]
    return [*parts, Bullets(absent)] if absent else parts


def _regressions(results: Results) -> list[Block]:
    if len(results.means) < 2:
        return [Text("There is one configuration: no regression is possible.")]
    parts: list[Block] = [
        tables.slopes(results.associations, f"Regressions of the {labels.long(results.target)}. {tables.UNIT}"),
        Text(EXPLANATION),
        tables.predictions(results.associations),
        tables.by_group(results.associations[0]),
    ]
    if results.design.aliases:
        pairs = [f"{alias} moves together with {axis}" for alias, axis in results.design.aliases.items()]
        parts.append(Text(f"Not separable: {', '.join(pairs)}."))
    return parts


def _exponents(results: Results) -> list[Block]:
    if not results.scalings:
        return [Text("Neither the width nor the sample size varies by itself: no exponent.")]
    return [tables.exponents(results)]


def _left_out(material: Material) -> list[Block]:
    source, results = material.networks.source, material.results
    parts: list[Block] = [Text("No network was left out.")]
    if material.counts:
        parts = [tables.exclusions(dict(material.counts), MEANING), tables.excluded_cells(material.by_cell)]
    items = list(source.notes)
    if source.other_runs:
        items.append(
            f"{labels.count(source.other_runs, 'run')} without the tag {names.KIND}: neither network nor sweep."
        )
    if source.missing:
        items.append(f"{labels.count(source.missing, 'network')} of the sweep without a finished run.")
    for association in results.associations:
        if association.left_out:
            left_out = labels.count(association.left_out, "configuration")
            items.append(f"{left_out} left out of the regressions on {association.measure}: it is not finite there.")
    if items:
        parts.append(Bullets(items))
    if not results.sensitivity:
        return [*parts, Text("Sensitivity: no network was left out for want of convergence alone.")]
    networks = labels.count(results.unconverged, "network")
    caption = (
        f"Sensitivity: the same with {networks} that missed the threshold, or lie in a dropped cell. {tables.UNIT}"
    )
    return [*parts, tables.slopes(results.sensitivity, caption)]


def _reproduce(material: Material) -> list[Block]:
    source, frame = material.networks.source, material.networks.used
    store = f"Store: {masked(source.uri)}, experiment {source.experiment}"
    items = [store + (f", sweep {source.sweep}." if source.sweep else ".")]
    for column, what in ((VERSION, "initdist version"), (COMMIT, "git commit")):
        values = sorted({str(value) for value in frame[column].dropna()})
        if values:
            items.append(f"Trained with {what} {', '.join(values)}.")
    items.append("Analyzed with " + ", ".join(f"{name} {version}" for name, version in versions().items()) + ".")
    return [Code(material.command), Bullets(items)]


def versions() -> dict[str, str]:
    """Python and the packages whose numbers or pictures these are."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
