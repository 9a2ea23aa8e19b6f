"""What a job tells a sweeper that searches: one number of its networks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from initdist import tracking
from initdist.sweeps.planning import Network
from initdist.tracking.store import client


def mean(store: tracking.Store, networks: Sequence[Network]) -> float:
    """The mean of the metric `objective` over the networks that have finished, now or before; NaN where none has."""
    config = networks[0].config
    found = tracking.asked(
        store, lambda: _values(store, [one.identity for one in networks], config.objective), config.tracking.patience
    )
    return statistics.fmean(found) if found else float("nan")


def _values(store: tracking.Store, identities: Sequence[str], metric: str) -> list[float]:
    runs = tracking.finished_among(store, identities).values()
    return [client(store.uri).get_run(run.run_id).data.metrics[metric] for run in runs]
