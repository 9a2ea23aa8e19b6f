"""Every run of an experiment as arrays, one a param, metric or tag."""

from __future__ import annotations

import gc
import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from initdist import names
from initdist.tracking import Row, Rows

Tell = Callable[[str], None]  # what is being done, for whoever waits

TAGS = {
    "kind": names.KIND,
    "identity": names.IDENTITY,
    "stop_reason": names.STOP_REASON,
    "converged": names.CONVERGED,
    "sweep": names.SWEEP,
    "input_shape": names.INPUT_SHAPE,
    "classes": names.CLASSES,
    "test_size": names.TEST_SIZE,
    "version": names.VERSION,
    "commit": names.GIT_COMMIT,
    "measure_options": names.MEASURES,
    "test_correct": names.TEST_CORRECT,
}


@dataclass(frozen=True)
class Records:
    """The active runs of one experiment, by start and run id. Each array is [runs]; None or NaN where absent.

    info: run_id, run_name, status, artifact_uri as text; start_time, end_time in ms. tags: by the keys of TAGS.
    """

    experiment_id: str
    info: Mapping[str, np.ndarray]
    params: Mapping[str, np.ndarray]
    metrics: Mapping[str, np.ndarray]
    tags: Mapping[str, np.ndarray]
    identities: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of a sweep's run id, in networks.json

    def __len__(self) -> int:
        return len(self.info["run_id"])

    def digest(self) -> str:
        """SHA-256 of everything that was read: equal only if no run, param, metric, tag or list of a sweep differs."""
        found = hashlib.sha256(self.experiment_id.encode())
        for part in (self.info, self.params, self.tags):
            for key in sorted(part):
                texts = part[key].tolist()
                found.update(f"\x1d{key}\x1e{len(texts)}\x1e".encode())
                found.update("\x1f".join("\x00" if text is None else str(text) for text in texts).encode())
        for key in sorted(self.metrics):
            found.update(f"\x1d{key}\x1e".encode())
            found.update(np.ascontiguousarray(self.metrics[key]).tobytes())
        for run_id in sorted(self.identities):
            found.update("\x1f".join([run_id, *sorted(self.identities[run_id])]).encode())
        return found.hexdigest()


def records_of(experiment_id: str, rows: Rows) -> Records:
    """What a store's reader gives of an experiment, as arrays."""
    with _uncollected():
        columns = zip(*rows.runs, strict=True) if rows.runs else [()] * len(Row._fields)
        info = {name: np.array(column, dtype=object) for name, column in zip(Row._fields, columns, strict=True)}
        ids = info["run_id"]
        params, tags = spread(rows.params, ids), spread(rows.tags, ids)
        metrics = spread(rows.metrics, ids, numeric=True)
    empty = np.full(len(ids), None, dtype=object)
    return Records(
        str(experiment_id),
        info,
        params,
        {key: finite(values) for key, values in metrics.items()},
        {column: tags.get(tag, empty) for column, tag in TAGS.items()},
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million small rows make the garbage collector look at them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def spread(
    rows: Iterable[tuple[str, str, object]], run_ids: np.ndarray, numeric: bool = False
) -> dict[str, np.ndarray]:
    """Triples of run id, key, value -> one array [runs] a key, keys sorted."""
    place = {run_id: index for index, run_id in enumerate(run_ids.tolist())}
    columns: dict[str, np.ndarray] = {}
    by_key: dict[str, tuple[list[int], list[object]]] = {}
    for run_id, key, value in rows:
        index = place.get(run_id)
        if index is None:
            continue
        if key not in by_key:
            by_key[key] = ([], [])
        indices, values = by_key[key]
        indices.append(index)
        values.append(value)
    for key in sorted(by_key):
        indices, values = by_key[key]
        column = np.full(len(run_ids), math.nan) if numeric else np.full(len(run_ids), None, dtype=object)
        column[indices] = values
        columns[key] = column
    return columns


def finite(values: np.ndarray) -> np.ndarray:
    """MLflow stores an infinite metric as the largest float: back to infinity."""
    return np.where(np.abs(values) >= sys.float_info.max, np.copysign(math.inf, values), values)
