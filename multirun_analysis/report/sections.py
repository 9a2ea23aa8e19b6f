"""The report's blocks, the answer first."""

from __future__ import annotations

from collections.abc import Callable

from initdist import names
from initdist.secrets import masked
from multirun_analysis import labels
from multirun_analysis.report import claim_tables, intervention_tables, league_tables, runs_table, tables
from multirun_analysis.report.blocks import Block, Bullets, Code, Folded, Heading, Picture, Text
from multirun_analysis.report.inputs import Material, Report, summary
from multirun_analysis.report.sentences import answer, judged, remarks, target_note, verdict
from multirun_analysis.runs.exclusions import counts_by_cell
from multirun_analysis.runs.read import COMMIT, VERSION
from multirun_analysis.stats import Results
from multirun_analysis.uptodate import versions

EXPLANATION = (
    "Points are configuration means. Only for the slope across seeds they are networks.",
    "Within groups: an intercept for each group. Across seeds: an intercept for each configuration. Controlled: all "
    "varied axes as linear terms. Width only: all other axes are fixed, so the width itself is confounded with the "
    "measure.",
    "Per sd: the change in percentage points for one standard deviation of the part of the measure that varies in the "
    "regression.",
    "Clustered: the interval with CR2 standard errors and Satterthwaite degrees of freedom. The number of clusters is "
    "in parentheses. The clusters are data and noise cells. For the slope across seeds they are configurations, or "
    "seeds of one architecture, whichever makes the interval wider.",
    "Under 6 configurations or clusters there is no interval, and the slope is undecided.",
)


def blocks(report: Report) -> list[Block]:
    """The whole report; of several experiments first what compares them, then each."""
    several = len(report.parts) > 1
    parts: list[Block] = []
    for part in report.parts:
        parts += _opening(part, part.networks.source.experiment if several else "")
    if several:
        parts += _comparison(report)
    for part in report.parts:
        parts += _experiment(part, report, f": {part.networks.source.experiment}" if several else "")
    return [*parts, Heading("Reproduce"), *_reproduce(report)]


def _opening(material: Material, name: str) -> list[Block]:
    results = material.results
    lead = f"{name}: {answer(results)}" if name else answer(results)
    found = judged(results)
    items = [f"{rung.name}: {rung.verdict} ({rung.reason})." for rung in found.rungs] if found else []
    return [
        Text(lead, lead=True),
        Text(f"{verdict(results)} {summary(material)} {target_note(material)}".strip()),
        *([Bullets(items)] if items else []),
    ]


def _comparison(report: Report) -> list[Block]:
    claims_by = {p.networks.source.experiment: p.results.claims for p in report.parts}
    sides = [claim_tables.compared(claims_by), league_tables.compared(report.tables)]
    parts: list[Block] = [Heading("Side by side"), *sides]
    if report.comparison and report.comparison.images is not None:
        parts.append(Picture(report.comparison.name, report.comparison.title, report.comparison.caption))
    return parts


def _experiment(material: Material, report: Report, suffix: str) -> list[Block]:
    results = material.results
    parts: list[Block] = [Heading(f"Claims{suffix}"), *claim_tables.blocks(results.claims, _drawn(material))]
    if results.league:
        parts += [Heading(f"League table{suffix}"), *league_tables.blocks(results.league)]
    if results.interventions:
        parts += [Heading(f"Interventions on the distance{suffix}"), *intervention_tables.blocks(results.interventions)]
    parts += [Heading(f"Figures{suffix}"), *_figures(material)]
    parts += [Heading(f"Regressions on the distance{suffix}")]
    if remarks(results):
        parts.append(Bullets(remarks(results)))
    parts += _regressions(results)
    parts += [Folded("Exponents in width and sample size, cell by cell", _exponents(results))]
    parts += [Heading(f"Configurations and runs{suffix}")]
    parts.append(Folded(f"{labels.count(len(results.means), 'configuration')}", [tables.cells(results)]))
    number = labels.count(len(material.networks.frame), "run")
    parts.append(Folded(f"{number}, with links", [runs_table.table(material, report.ui_url)], page_only=True))
    return [*parts, Heading(f"Left out{suffix}"), *_left_out(material)]


def _drawn(material: Material) -> Callable[[str], str | None]:
    there = {drawing.name for drawing in material.drawings if drawing.images is not None}
    return lambda name: material.picture(name) if name in there else None


def _figures(material: Material) -> list[Block]:
    drawn = [d for d in material.drawings if d.images is not None]
    parts: list[Block] = [Picture(material.picture(d.name), d.title, d.caption) for d in drawn]
    absent = [f"{d.title}: left out, {d.caption}." for d in material.drawings if d.images is None]
    return [*parts, Bullets(absent)] if absent else parts


def _regressions(results: Results) -> list[Block]:
    if len(results.means) < 2:
        return [Text("There is one configuration: no regression is possible.")]
    parts: list[Block] = [
        tables.slopes(results.associations, f"Regressions of the {labels.long(results.target)}. {tables.UNIT}"),
        Bullets(EXPLANATION),
        Folded("What the hyperparameters explain, and each group by itself", _more(results)),
    ]
    if results.design.aliases:
        pairs = [f"{alias} moves together with {axis}" for alias, axis in results.design.aliases.items()]
        parts.append(Text(f"These axes cannot be told apart: {', '.join(pairs)}."))
    return parts


def _more(results: Results) -> list[Block]:
    return [tables.predictions(results.associations), tables.by_group(results.judged)]


def _exponents(results: Results) -> list[Block]:
    if not results.scalings:
        return [Text("Neither the width nor the sample size varies by itself, so there is no exponent.")]
    return [tables.exponents(results)]


def _left_out(material: Material) -> list[Block]:
    source, results = material.networks.source, material.results
    parts: list[Block] = [Text("No network was left out.")]
    if material.counts:
        parts = [tables.exclusions(material.counts), tables.excluded_cells(counts_by_cell(material.networks))]
    items = list(source.notes)
    if source.other_runs:
        items.append(
            f"{labels.count(source.other_runs, 'run')} without the tag {names.KIND}: neither network nor sweep."
        )
    if source.missing:
        items.append(f"{labels.count(source.missing, 'network')} of the sweep without a finished run.")
    for association in results.associations:
        if association.unused:
            left_out = labels.count(association.unused, "configuration")
            items.append(f"{left_out} left out of the regressions on {association.measure}, which is not finite there.")
    if items:
        parts.append(Bullets(items))
    if not results.sensitivity:
        return [*parts, Text("Sensitivity: no network was left out only because it had not converged.")]
    changed = _changed(results)
    networks = labels.count(results.unconverged, "more network")
    caption = (
        f"Sensitivity: the same regressions with {networks}, left out above for missing the threshold or for being in "
        f"a dropped cell. {tables.UNIT}"
    )
    return [*parts, tables.slopes(results.sensitivity, caption), Bullets(changed)]


def _changed(results: Results) -> list[str]:
    """What including the networks that missed the threshold changes in claims and league table."""
    others = {item.claim.id: item.verdict for item in results.claims_sensitivity}
    items = [
        f"With these networks {one.claim.id} would be {others[one.claim.id]} instead of {one.verdict}."
        for one in results.claims
        if others.get(one.claim.id, one.verdict) != one.verdict
    ] or ["With these networks no claim's verdict changes."]
    if results.league and results.league_sensitivity:
        before, after = (
            {row.measure: row.ranks.get("tau_within") for row in table.rows}
            for table in (results.league, results.league_sensitivity)
        )
        moved = [f"{name} {before[name]} → {after[name]}" for name in before if before[name] != after.get(name)]
        items.append(f"Places under τ within groups: {', '.join(moved)}." if moved else "No measure's place changes.")
    return items


def _reproduce(report: Report) -> list[Block]:
    items = []
    for material in report.parts:
        source, frame = material.networks.source, material.networks.used
        store = f"Store: {masked(source.uri)}, experiment {source.experiment}"
        items.append(store + (f", sweep {source.sweep}." if source.sweep else "."))
        for column, what in ((VERSION, "initdist version"), (COMMIT, "git commit")):
            values = sorted({str(value) for value in frame[column].dropna()})
            if values:
                items.append(f"Trained with {what} {', '.join(values)}.")
    items.append("Analyzed with " + ", ".join(f"{name} {version}" for name, version in versions().items()) + ".")
    return [Code(report.command), Bullets(list(dict.fromkeys(items)))]
