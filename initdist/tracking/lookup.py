"""Networks that have finished: what a command looks up before it trains, and counts at its end."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from initdist import names
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.runs import PAGE, search, tagged
from initdist.tracking.tables import listed, opened


class Finished(NamedTuple):
    """A finished network: its run, why it stopped, by which code it was trained, and what was measured of it."""

    run_id: str
    stop_reason: str
    code: str
    measures: str  # the text of the tag names.MEASURES
    sweep: str = ""  # that it was trained in


class Selectable(NamedTuple):
    """A finished network and what tells whether it is meant; its run, if that had to be read."""

    identity: str
    finished: Finished
    params: Mapping[str, str]
    run: Any = None


_FINISHED = f"attributes.status = 'FINISHED' and {tagged(names.KIND, names.KIND_NETWORK)}"
_TAGS = (names.IDENTITY, names.STOP_REASON, names.CODE, names.MEASURES, names.SWEEP)
_SQL = (
    "SELECT r.run_uuid, "
    + ", ".join(f"(SELECT value FROM tags WHERE key = '{key}' AND run_uuid = r.run_uuid)" for key in _TAGS)
    + " FROM runs r WHERE r.experiment_id = :experiment AND r.lifecycle_stage = 'active' AND r.status = 'FINISHED' "
    f"AND EXISTS (SELECT 1 FROM tags WHERE key = '{names.KIND}' AND value = '{names.KIND_NETWORK}' "
    "AND run_uuid = r.run_uuid) {} ORDER BY r.start_time DESC, r.run_uuid"
)
_COLUMNS = {
    "runs": {"run_uuid", "experiment_id", "lifecycle_stage", "status", "start_time", "end_time"},
    "tags": {"key", "value", "run_uuid"},
    "params": {"key", "value", "run_uuid"},
}
_METRICS = {"latest_metrics": {"run_uuid", "key", "value", "is_nan"}}
_PARAMS_SQL = (
    "SELECT run_uuid, key, value FROM params WHERE key IN ({}) AND run_uuid IN "
    "(SELECT run_uuid FROM runs WHERE experiment_id = :experiment AND lifecycle_stage = 'active')"
)
IDENTITIES_A_QUERY = 500
# Through the client a look-up is a search, and a page of runs as long as some ten of these.
FEW, MANY = 10, 300  # networks: fewer are looked up one by one, more by reading all runs


def finished(store: Store, since_ms: int | None = None, but: Container[str] = ()) -> dict[str, Finished]:
    """Identity -> FINISHED network, the latest of each: all, or those said to have ended since; but for these runs."""
    since = since_ms or 0
    found = _in_tables(store, [("AND coalesce(r.end_time, 0) >= :since", {"since": since})])
    if found is None:
        found = _through_client(store, "" if since_ms is None else f" and attributes.end_time >= {since_ms}")
    return _latest(found, but)


def finished_among(store: Store, identities: Iterable[str]) -> dict[str, Finished]:
    """As `finished`, of these networks."""
    asked = list(identities)
    queries = []
    for first in range(0, len(asked), IDENTITIES_A_QUERY):
        places, some = listed("identity", asked[first : first + IDENTITIES_A_QUERY])
        within = f"SELECT run_uuid FROM tags WHERE key = '{names.IDENTITY}' AND value IN ({places})"
        queries.append((f"AND r.run_uuid IN ({within})", some))
    found = _in_tables(store, queries)
    return _latest(_one_by_one(store, asked) if found is None else found)


def _one_by_one(store: Store, asked: Sequence[str]) -> Iterator[tuple[str, Finished]]:
    """Through the client, in a time that does not grow with the store where few are asked for."""
    if len(asked) > FEW:
        every = _through_client(store, "")
        first = list(islice(every, PAGE))
        if len(first) < PAGE or len(asked) > MANY:
            among = frozenset(asked)
            yield from (one for one in chain(first, every) if one[0] in among)
            return
    for each in asked:
        yield from _through_client(store, f" and {tagged(names.IDENTITY, each)}")


def selectable(store: Store, params: Collection[str] = ()) -> list[Selectable]:
    """All FINISHED networks, the latest of each, newest first, with some of their params."""
    found = _selectable_in_tables(store, params)
    if found is None:
        latest: dict[str, Selectable] = {}
        for run in search(store, _FINISHED):
            identity, one = _of(run)
            latest.setdefault(identity, Selectable(identity, one, run.data.params, run))
        found = list(latest.values())
    return found


def _selectable_in_tables(store: Store, params: Collection[str]) -> list[Selectable] | None:
    places, keys = listed("key", params)
    of = {"experiment": int(store.experiment_id)}
    try:
        with opened(store.uri, _COLUMNS) as select:
            if select is None:
                return None
            latest = _latest(_finished(*row) for row in select(_SQL.format(""), of))
            known: dict[str, dict[str, str]] = {one.run_id: {} for one in latest.values()}
            for run_id, key, value in select(_PARAMS_SQL.format(places), {**of, **keys}):
                if run_id in known:
                    known[run_id][key] = value
            return [Selectable(identity, one, known[one.run_id]) for identity, one in latest.items()]
    except TrackingError:  # MLflow says what is wrong
        return None


def runs_of(store: Store, networks: Sequence[Selectable]) -> Iterator[Any]:
    """Their runs with all that they hold, in the same order; they are read some at a time."""
    for first in range(0, len(networks), PAGE):
        some = networks[first : first + PAGE]
        read = {run.info.run_id: run for run in _read(store, [one.finished.run_id for one in some if one.run is None])}
        runs = (one.run or read.get(one.finished.run_id) for one in some)
        yield from (run for run in runs if run is not None)  # but for those deleted since


def metrics_of(store: Store, runs: Iterable[str], keys: Collection[str]) -> dict[str, dict[str, float]]:
    """Run -> some of its final metrics, as far as it has them."""
    asked = list(runs)
    found: dict[str, dict[str, float]] = {run_id: {} for run_id in asked}
    places, wanted = listed("key", keys)
    value = "CASE WHEN is_nan THEN NULL ELSE value END"
    with opened(store.uri, _METRICS) as select:
        for first in range(0, len(asked), PAGE):
            some = asked[first : first + PAGE]
            if select is None:
                for run in _read(store, some):
                    found[run.info.run_id] = {key: run.data.metrics[key] for key in keys if key in run.data.metrics}
                continue
            within, ids = listed("run", some)
            query = (
                f"SELECT run_uuid, key, {value} FROM latest_metrics WHERE key IN ({places}) AND run_uuid IN ({within})"
            )
            for run_id, key, number in select(query, {**wanted, **ids}):
                found[run_id][key] = math.nan if number is None else number
    return found


def _read(store: Store, runs: Sequence[str]) -> Iterator[Any]:
    """These runs, a page of them at most, with all that they hold."""
    return search(store, f"attributes.run_id IN ({', '.join(map(repr, runs))})") if runs else iter(())


def _latest(found: Iterable[tuple[str, Finished]], but: Container[str] = ()) -> dict[str, Finished]:
    latest: dict[str, Finished] = {}
    for identity, one in found:
        if one.run_id not in but:
            latest.setdefault(identity, one)
    return latest


def _through_client(store: Store, condition: str) -> Iterator[tuple[str, Finished]]:
    """Newest first. The client reads all that the runs hold, ten seconds for some thousands."""
    return map(_of, search(store, _FINISHED + condition))


def _of(run: Any) -> tuple[str, Finished]:
    return _finished(run.info.run_id, *(run.data.tags.get(key) for key in _TAGS))


def _in_tables(
    store: Store, queries: Iterable[tuple[str, Mapping[str, object]]]
) -> Iterable[tuple[str, Finished]] | None:
    """The same; None where the store is no database with the tables that are read here, or is not to be read."""
    try:
        with opened(store.uri, _COLUMNS) as select:
            if select is None:
                return None
            return [
                _finished(*row)
                for condition, values in queries
                for row in select(_SQL.format(condition), {"experiment": int(store.experiment_id), **values})
            ]
    except TrackingError:  # MLflow says what is wrong
        return None


def _finished(
    run_id: str, identity: str | None, reason: str | None, code: str | None, measures: str | None, sweep: str | None
) -> tuple[str, Finished]:
    text = sys.intern(measures or "{}")  # a long text that most runs have in common
    return identity or "", Finished(run_id, reason or "", code or "", text, sweep or "")
