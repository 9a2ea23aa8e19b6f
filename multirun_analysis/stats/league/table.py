"""The league table: every logged measure under every statistic. Estimand (b), new configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from initdist import names
from multirun_analysis.labels import listing
from multirun_analysis.runs.arms import observed
from multirun_analysis.runs.params import NOISE_LEVEL, params_of
from multirun_analysis.runs.read import TEST_SIZE
from multirun_analysis.stats.catalogue import Entry, read_catalogue
from multirun_analysis.stats.design import find_design, find_seeds
from multirun_analysis.stats.grid import Grid
from multirun_analysis.stats.league.baseline import baseline
from multirun_analysis.stats.league.beyond import partials
from multirun_analysis.stats.league.candidates import Candidates, candidates
from multirun_analysis.stats.league.ladder import corrected, rungs
from multirun_analysis.stats.league.league_types import (
    RESAMPLED,
    Information,
    LeagueTable,
    SignError,
    Standing,
    Verdict,
)
from multirun_analysis.stats.ranks.information import Conditioned, condition, informations
from multirun_analysis.stats.ranks.paired_errors import paired_on_test_set
from multirun_analysis.stats.ranks.pairs import multinomial_weights, signs
from multirun_analysis.stats.ranks.ranking import PairStatistics, granulated, paired_differences, ranks, same_ranking
from multirun_analysis.stats.ranks.sign_errors import Environments, certainty, environments, seed_pairs, sign_errors
from multirun_analysis.stats.regression.association import CLUSTERED, slopes

RESAMPLES, PERMUTATIONS = 1000, 99
MANY = 100  # configurations from which fewer resamples and permutations are drawn
RESAMPLES_MANY, PERMUTATIONS_MANY = 400, 39
LISTED = 4  # names in a note
JUDGED = (names.DISTANCE,)  # what was stated about before any result


@dataclass(frozen=True)
class _Data:
    """frame: the networks, with the target and all measures."""

    frame: pd.DataFrame
    grid: Grid
    target: np.ndarray  # [networks]
    seeds: tuple[str, ...]
    y: np.ndarray  # [configurations]
    found: Candidates
    x: np.ndarray  # [configurations, measures]
    conditioned: Conditioned | None  # None: one configuration
    environments: Environments


def league_table(
    frame: pd.DataFrame,
    target: str | None = None,
    *,
    params: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    group_axes: Sequence[str] | None = None,
    catalogue: Mapping[str, Entry] | None = None,
    resamples: int | None = None,
    permutations: int | None = None,
    seed: int = 0,
) -> LeagueTable:
    """Ranks every measure of `frame` (one row a network, as load_runs returns it) by how it goes with the target.

    target: default the gap under noise where labels are noisy and every network has it, else the gap.
    params: the config columns (default: the frame's dotted columns and `seed`). measures: names, default all logged.
    group_axes: what comparisons within groups hold fixed, default data, noise and loss.
    resamples, permutations: default 1000 and 99, from 100 configurations on 400 and 39. Deterministic in `seed`.
    Of networks some of which had their distance moved, it ranks on those that were left alone.
    Raises ValueError for an unknown target or measure, or an empty frame.
    """
    frame = observed(frame)
    catalogue = read_catalogue() if catalogue is None else catalogue
    target = default_target(frame) if target is None else target
    data = _prepare(frame, target, params, measures, group_axes, catalogue)
    number = len(data.y)
    resamples = (RESAMPLES if number < MANY else RESAMPLES_MANY) if resamples is None else resamples
    permutations = (PERMUTATIONS if number < MANY else PERMUTATIONS_MANY) if permutations is None else permutations
    pairs = PairStatistics.of(data.grid)
    weights = multinomial_weights(number, resamples, seed)
    rows, leaders = ranks(corrected(_rows(data, pairs, permutations, seed), JUDGED), number)
    rows = paired_differences(rows, leaders, pairs, data.x, data.y, weights)
    order = sorted(range(len(rows)), key=lambda k: _place(rows[k], last=len(rows) + 1))
    table = LeagueTable(
        target,
        data.grid.design,
        number,
        len(frame),
        tuple(rows[k] for k in order),
        baseline(data.grid, data.y, pairs),
        leaders,
        (),
        resamples,
        permutations,
        data.found.unranked,
        tuple(_notes(data, pairs)),
    )
    listed = {row.measure for row in table.rows}
    judged = [table.standing(name) for name in JUDGED if name in listed]
    return replace(table, verdicts=tuple(Verdict(row.measure, row.rungs) for row in judged))


def default_target(frame: pd.DataFrame) -> str:
    noisy = NOISE_LEVEL in frame and bool((frame[NOISE_LEVEL] > 0).any())
    return names.GAP_NOISY if noisy and names.GAP_NOISY in frame and frame[names.GAP_NOISY].notna().all() else names.GAP


def _prepare(
    frame: pd.DataFrame,
    target: str,
    params: Sequence[str] | None,
    measures: Sequence[str] | None,
    group_axes: Sequence[str] | None,
    catalogue: Mapping[str, Entry],
) -> _Data:
    if target not in frame:
        raise ValueError(f"target must be a column of the frame, got {target!r}")
    frame = frame[np.isfinite(frame[target].to_numpy(dtype=float))].reset_index(drop=True)
    if frame.empty:
        raise ValueError(f"the frame must hold a network with a finite {target}, it holds none")
    params = params_of(frame) if params is None else params
    grid = Grid.of(frame, find_design(frame, params, group_axes))
    seeds = tuple(find_seeds(frame, params))
    found = candidates(frame, catalogue, measures)
    y = frame[target].to_numpy(dtype=float)
    return _Data(
        frame,
        grid,
        y,
        seeds,
        grid.mean(y),
        found,
        grid.means(found.values),
        condition(grid, y) if len(grid) > 1 else None,
        environments(grid),
    )


def _rows(data: _Data, pairs: PairStatistics, permutations: int, seed: int) -> list[Standing]:
    values = data.found.values
    estimates = pairs.estimates(pairs.evaluate(data.x, data.y), data.x, data.y)
    signs_made, signs_test = _sign_errors(data, values)
    information = _informations(data, values, permutations, seed)
    beyond = partials(data.x, data.y, data.grid)
    fitted = slopes(data.grid, data.target, values, data.seeds)
    rows = [
        Standing(
            item.name,
            item.column,
            item.group,
            item.formula,
            item.source,
            item.orientation,
            item.normalization,
            item.known,
            configurations=int((~np.isnan(data.x[:, k])).sum()),
            undefined=int(np.isnan(values[:, k]).sum()),
            infinite=int(np.isposinf(values[:, k]).sum()),
            **vars(fitted[k]),
            tau=estimates["tau"][k],
            tau_within=estimates["tau_within"][k],
            psi=granulated(estimates, k),
            partial=beyond[k],
            information=information[k][0],
            information_pgdl=information[k][1],
            sign_error=signs_made[k],
            sign_error_test=signs_test[k],
            same_as=same_ranking(data.found, k),
        )
        for k, item in enumerate(data.found.entries)
    ]
    return [replace(row, rungs=rungs(row)) for row in rows]


def _informations(
    data: _Data, values: np.ndarray, permutations: int, seed: int
) -> list[tuple[Information, Information]]:
    if data.conditioned is None:
        nothing = Information(None, note="needs two configurations")
        return [(nothing, nothing)] * values.shape[1]
    return informations(data.conditioned, values, permutations, seed)


def _sign_errors(data: _Data, values: np.ndarray) -> tuple[list[SignError], list[SignError]]:
    """By the target and the test set's size, and by test errors paired on the shared test set."""
    found = data.environments
    first, second, _ = seed_pairs(found)
    y = data.target
    size = _test_size(data.frame)
    if size is None:
        made = [SignError(None, None, None, note="the number of test samples is not recorded")] * values.shape[1]
    else:
        t = np.minimum(size[first], size[second])
        weight = certainty(y[first] - y[second], np.nan_to_num(t, nan=0.0))
        made = sign_errors(found, data.grid.design, values, signs(y[first], y[second]), weight)
    return made, _sharper(data, found, values)


def _sharper(data: _Data, found: Environments, values: np.ndarray) -> list[SignError]:
    paired = paired_on_test_set(data.frame, found, data.grid.design)
    if isinstance(paired, str):
        return [SignError(None, None, None, note=paired)] * values.shape[1]
    return sign_errors(found, data.grid.design, values, *paired)


def _test_size(frame: pd.DataFrame) -> np.ndarray | None:
    if TEST_SIZE not in frame:
        return None
    size = pd.to_numeric(frame[TEST_SIZE], errors="coerce").to_numpy(dtype=float)
    return None if np.isnan(size).all() else size


def _place(row: Standing, last: int) -> tuple[int, int, str]:
    """By rank; those that are judged before others at the same one."""
    judged = JUDGED.index(row.measure) if row.measure in JUDGED else len(JUDGED)
    return row.ranks.get(RESAMPLED[0], last), judged, row.measure


def _notes(data: _Data, pairs: PairStatistics) -> list[str]:
    notes = pairs.notes()
    if data.conditioned is not None:
        notes += data.conditioned.notes
    notes += data.environments.notes(data.grid.design)
    if len(data.frame) > CLUSTERED:
        notes.append(
            f"The slopes across seeds rest on {CLUSTERED:,} networks. Their configurations are drawn with a fixed seed."
        )
    fallback = [item.name for item in data.found.entries if not item.known]
    if fallback:
        number = f"{len(fallback)} measures are" if len(fallback) > 1 else "1 measure is"
        which = listing(fallback, LISTED)
        notes.append(f"{number} not in the catalogue, so the recorded values are used with orientation +1: {which}.")
    notes += data.found.notes
    if data.found.unranked:
        notes.append(f"Undefined for every network: {', '.join(data.found.unranked)}.")
    return notes
