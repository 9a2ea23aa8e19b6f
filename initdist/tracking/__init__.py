"""MLflow: the store, the sweep's parent run, and one run a network.

Plain values come in (a NetworkFacts, its Outcome); this room knows how to wait for what may pass, and nothing of torch,
Hydra or configs. It offers `prepare` and `existing` (a Store), the look-up of what has finished, the runs of sweeps, a
Writer, a Reader (which the analysis uses too), and which process a run belongs to.
"""

from initdist.tracking.lookup import Finished, finished, finished_among, finished_runs
from initdist.tracking.process import described, is_process, lives, this_process
from initdist.tracking.reader import Reader, Row, Rows, reading
from initdist.tracking.records import DatasetInfo, NetworkFacts, Outcome, Store, TrackingError
from initdist.tracking.runs import (
    artifact,
    close_stale,
    close_sweep,
    code_tags,
    has_artifact,
    metrics,
    open_sweep,
    stale,
    sweep_id,
    sweep_identities,
)
from initdist.tracking.store import asked, existing, prepare
from initdist.tracking.writer import Writer

__all__ = [
    "DatasetInfo",
    "Finished",
    "NetworkFacts",
    "Outcome",
    "Reader",
    "Row",
    "Rows",
    "Store",
    "TrackingError",
    "Writer",
    "artifact",
    "asked",
    "close_stale",
    "close_sweep",
    "code_tags",
    "described",
    "existing",
    "finished",
    "finished_among",
    "finished_runs",
    "has_artifact",
    "is_process",
    "lives",
    "metrics",
    "open_sweep",
    "prepare",
    "reading",
    "stale",
    "sweep_id",
    "sweep_identities",
    "this_process",
]
