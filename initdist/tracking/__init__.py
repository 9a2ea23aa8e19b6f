"""MLflow: the store, the sweep's parent run, and one run a network.

Plain values come in (a NetworkFacts, its Outcome); this room knows how to wait for what may pass, and nothing of torch,
Hydra or configs. It offers `prepare` and `existing` (a Store), the look-up of what has finished, the runs of sweeps, a
Writer, a Reader (which the analysis uses too), and which process a run belongs to.
"""

from initdist.tracking.closing import close_connections
from initdist.tracking.filesystems import network
from initdist.tracking.lookup import (
    Finished,
    Selectable,
    finished,
    finished_among,
    metrics_of,
    runs_of,
    selectable,
)
from initdist.tracking.parent import close_sweep, open_sweep
from initdist.tracking.places import folder
from initdist.tracking.process import described, is_here, is_process, lives, this_process
from initdist.tracking.reader import Reader, Row, Rows, reading
from initdist.tracking.readonly import read_only
from initdist.tracking.records import DatasetInfo, NetworkFacts, Outcome, Store, TrackingError
from initdist.tracking.runs import (
    artifact,
    close_stale,
    code_tags,
    has_artifact,
    repository,
    stale,
    sweep_id,
    sweep_identities,
    why_no_weights,
)
from initdist.tracking.store import SERVER, asked, existing, is_locked, prepare
from initdist.tracking.writer import Writer

__all__ = [
    "SERVER",
    "DatasetInfo",
    "Finished",
    "NetworkFacts",
    "Outcome",
    "Reader",
    "Row",
    "Rows",
    "Selectable",
    "Store",
    "TrackingError",
    "Writer",
    "artifact",
    "asked",
    "close_connections",
    "close_stale",
    "close_sweep",
    "code_tags",
    "described",
    "existing",
    "finished",
    "finished_among",
    "folder",
    "has_artifact",
    "is_here",
    "is_locked",
    "is_process",
    "lives",
    "metrics_of",
    "network",
    "open_sweep",
    "prepare",
    "read_only",
    "reading",
    "repository",
    "runs_of",
    "selectable",
    "stale",
    "sweep_id",
    "sweep_identities",
    "this_process",
    "why_no_weights",
]
