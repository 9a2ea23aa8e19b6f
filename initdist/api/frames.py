"""Results of networks as a table, with the columns that `multirun_analysis.load_runs` gives."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initdist.config import identity

if TYPE_CHECKING:
    import pandas as pd

    from initdist.api.results import NetworkResult


def results_frame(results: Iterable[NetworkResult]) -> pd.DataFrame:
    """One row a network: its params under their dotted keys, its final metrics, identity and stop reason.

    `multirun_analysis.league_table` and `claims` take it as they take the runs of a store. Networks that the command
    line would leave out, since they diverged or did not reach their stopping rule, are in it: column `converged`.
    """
    import numpy as np
    import pandas as pd

    from initdist.data import datasets
    from initdist.training import stopping

    rows = []
    for one in results:
        data = datasets.describe(one.config.dataset)
        bits = "" if one.correct is None else base64.b64encode(np.packbits(one.correct).tobytes()).decode()
        rows.append(
            {
                "identity": one.identity,
                "stop_reason": one.stop_reason,
                "converged": stopping.converged(one.config.stop, one.stop_reason),
                "test_correct": bits,
                "input_shape": "x".join(map(str, data.input_shape)),
                "classes": str(data.classes),
                "test_size": str(data.test_size),
                **identity.params(one.config),
                **one.metrics,
            }
        )
    return pd.DataFrame(rows)
