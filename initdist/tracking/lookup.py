"""Networks that have finished: what a command looks up before it trains, and counts at its end."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from initdist import names
from initdist.tracking.records import Store, TrackingError
from initdist.tracking.runs import search, tagged
from initdist.tracking.tables import listed, opened


class Finished(NamedTuple):
    """A finished network: its run, why it stopped, by which code it was trained, and what was measured of it."""

    run_id: str
    stop_reason: str
    code: str
    measures: str  # the text of the tag names.MEASURES


_FINISHED = f"attributes.status = 'FINISHED' and {tagged(names.KIND, names.KIND_NETWORK)}"
_TAGS = (names.IDENTITY, names.STOP_REASON, names.CODE, names.MEASURES)
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
}
IDENTITIES_A_QUERY = 500
SEARCHES = 20  # through the client, one an identity; of more, all runs are read


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
    if found is None and len(asked) > SEARCHES:
        among = frozenset(asked)
        found = (one for one in _through_client(store, "") if one[0] in among)
    elif found is None:
        found = (one for each in asked for one in _through_client(store, f" and {tagged(names.IDENTITY, each)}"))
    return _latest(found)


def finished_runs(store: Store) -> dict[str, Any]:
    """Identity -> run of FINISHED networks, the latest of each."""
    found: dict[str, Any] = {}
    for run in search(store, _FINISHED):
        found.setdefault(run.data.tags.get(names.IDENTITY, ""), run)
    return found


def _latest(found: Iterable[tuple[str, Finished]], but: Container[str] = ()) -> dict[str, Finished]:
    latest: dict[str, Finished] = {}
    for identity, one in found:
        if one.run_id not in but:
            latest.setdefault(identity, one)
    return latest


def _through_client(store: Store, condition: str) -> Iterator[tuple[str, Finished]]:
    """Newest first. The client reads all that the runs hold, ten seconds for some thousands."""
    for run in search(store, _FINISHED + condition):
        yield _finished(run.info.run_id, *(run.data.tags.get(key) for key in _TAGS))


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


def _finished(run_id: str, identity: str | None, reason: str | None, code: str | None, measures: str | None) -> Any:
    text = sys.intern(measures or "{}")  # a long text that most runs have in common
    return identity or "", Finished(run_id, reason or "", code or "", text)
