"""MLflow: the store, the sweep's parent run, and one run a network. Knows no torch and no Hydra."""

from initdist.tracking.process import is_alive, is_dead, is_process, this_process
from initdist.tracking.records import DatasetInfo, Network, Outcome, Store, TrackingError
from initdist.tracking.runs import (
    close_stale,
    close_sweep,
    code_tags,
    finished,
    finished_among,
    open_sweep,
    stale,
    sweep_id,
)
from initdist.tracking.store import asked, prepare
from initdist.tracking.writer import Writer

__all__ = [
    "DatasetInfo",
    "Network",
    "Outcome",
    "Store",
    "TrackingError",
    "Writer",
    "asked",
    "close_stale",
    "close_sweep",
    "code_tags",
    "finished",
    "finished_among",
    "is_alive",
    "is_dead",
    "is_process",
    "open_sweep",
    "prepare",
    "stale",
    "sweep_id",
    "this_process",
]
