"""Query MLflow for trained networks, judge what explains their generalization gap, draw, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multirun_analysis.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnalysisError", "load_runs"]


def load_runs(
    tracking_uri: str | None = None,
    experiment: str = "initdist",
    *,
    sweep: str | None = None,
    target: str = "generalization_gap",
    excluded: bool = False,
) -> pd.DataFrame:
    """One row a trained network: params typed and dotted, final metrics under their MLflow names, tags.

    tracking_uri: default MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory.
    sweep: only the networks of this sweep, those trained earlier included.
    target: the metric that must be there and finite for a network to be used.
    excluded: also return the runs that the analysis leaves out, with the reason in column `excluded`.
    Raises AnalysisError if the store, the experiment or the sweep cannot be read.
    """
    from multirun_analysis.query import read_networks
    from multirun_analysis.selection import exclude
    from multirun_analysis.store import default_uri

    networks = exclude(read_networks(tracking_uri or default_uri("."), experiment, sweep), target)
    frame = networks.frame if excluded else networks.used
    return frame.reset_index(drop=True)
