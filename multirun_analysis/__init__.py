"""Query MLflow for trained networks, judge what goes with their generalization gap, draw, report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multirun_analysis.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

    from multirun_analysis.stats.claims.tests import claims
    from multirun_analysis.stats.league.table import league_table

__all__ = ["AnalysisError", "claims", "league_table", "load_runs"]


def __getattr__(name: str) -> Any:
    """Statistics are imported when they are first asked for: the package itself imports nothing heavy."""
    if name == "league_table":
        from multirun_analysis.stats.league.table import league_table

        return league_table
    if name == "claims":
        from multirun_analysis.stats.claims.tests import claims

        return claims
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_runs(
    tracking_uri: str | None = None,
    experiment: str = "initdist",
    *,
    sweep: str | None = None,
    where: Mapping[str, Any] | None = None,
    target: str | None = None,
    excluded: bool = False,
) -> pd.DataFrame:
    """One row a trained network: params typed and dotted, final metrics under their MLflow names, tags.

    tracking_uri: default MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory.
    sweep: only the networks of this sweep, those trained earlier included.
    where: config key -> a value, a list of values or a comparison: {"model.width": [64, 256], "noise.level": "<0.5"}.
    target: the metric that must be there and finite for a network to be used; None: generalization_gap_noisy where
    networks were trained on noisy labels, else generalization_gap; of the two the one that leaves out fewer networks.
    excluded: also return the runs that the analysis leaves out, with the reason in column `excluded`.
    Raises AnalysisError if the store, the experiment or the sweep cannot be read, or a condition is met by no network.
    """
    from multirun_analysis.runs.exclusions import default_target, exclude
    from multirun_analysis.runs.read import read_networks
    from multirun_analysis.runs.store import named
    from multirun_analysis.runs.where import flat, select

    networks = select(read_networks(named(tracking_uri), experiment, sweep), flat(where or {}))
    networks = exclude(networks, target or default_target(networks), asked=target is not None)
    frame = networks.frame if excluded else networks.used
    return frame.reset_index(drop=True)
