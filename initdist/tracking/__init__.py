"""MLflow: the store, the sweep's parent run, and one run a network. Knows no torch and no Hydra."""

from initdist.tracking.records import DatasetInfo, Network, Outcome, Store, TrackingError
from initdist.tracking.runs import close_stale, close_sweep, finished, open_sweep, sweep_id
from initdist.tracking.store import prepare
from initdist.tracking.writer import Writer

__all__ = [
    "DatasetInfo",
    "Network",
    "Outcome",
    "Store",
    "TrackingError",
    "Writer",
    "close_stale",
    "close_sweep",
    "finished",
    "open_sweep",
    "prepare",
    "sweep_id",
]
