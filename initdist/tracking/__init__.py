"""MLflow: the store, the sweep's parent run, and one run a network. Knows no torch and no Hydra."""

from initdist.tracking.process import is_dead, this_process
from initdist.tracking.records import DatasetInfo, Network, Outcome, Store, TrackingError
from initdist.tracking.runs import (
    artifact,
    close_stale,
    close_sweep,
    finished,
    finished_runs,
    has_artifact,
    open_sweep,
    stale,
    sweep_id,
    sweep_identities,
)
from initdist.tracking.store import existing, prepare
from initdist.tracking.writer import Writer

__all__ = [
    "DatasetInfo",
    "Network",
    "Outcome",
    "Store",
    "TrackingError",
    "Writer",
    "artifact",
    "close_stale",
    "close_sweep",
    "existing",
    "finished",
    "finished_runs",
    "has_artifact",
    "is_dead",
    "open_sweep",
    "prepare",
    "stale",
    "sweep_id",
    "sweep_identities",
    "this_process",
]
