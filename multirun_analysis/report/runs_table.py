"""The runs of an experiment, each with a link into the MLflow UI."""

from __future__ import annotations

from urllib.parse import quote

import pandas as pd

from initdist import names
from multirun_analysis import labels
from multirun_analysis.report.blocks import Cell, Link, Table
from multirun_analysis.report.inputs import Material
from multirun_analysis.report.tables import METRICS
from multirun_analysis.runs.read import EXCLUDED, RUN_ID, RUN_NAME, STOP_REASON

MAXIMUM_ROWS = 2000


def address(ui_url: str, experiment_id: str, run_id: str) -> str:
    """Where the MLflow UI shows a run."""
    return f"{ui_url}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}{names.UI_VIEW}"


def addresses(material: Material, ui_url: str) -> list[str]:
    """The address of every run of the frame."""
    return [address(ui_url, material.networks.source.experiment_id, run) for run in material.networks.frame[RUN_ID]]


def table(material: Material, ui_url: str) -> Table:
    """One row a run: name and link, the axes, the main metrics, why it is left out."""
    frame, experiment = material.networks.frame, material.networks.source.experiment_id
    axes = [axis for axis in material.results.design.axes if axis in frame]
    metrics = [metric for metric in METRICS if metric in frame]
    shown = frame.head(MAXIMUM_ROWS)
    columns: list[list[Cell]] = [
        [
            Link(str(name or run_id), address(ui_url, experiment, run_id))
            for name, run_id in zip(shown[RUN_NAME], shown[RUN_ID], strict=True)
        ],
        *_texts([[labels.value(item) for item in shown[axis]] for axis in axes]),
        *_texts([[labels.metric_value(item, metric) for item in shown[metric]] for metric in metrics]),
        [str(item) if pd.notna(item) else "–" for item in shown[STOP_REASON]],
        [str(item) for item in shown[EXCLUDED]],
    ]
    head = ["run", *map(labels.short, axes), *map(labels.metric_head, metrics)]
    caption = f"Runs, with links to the MLflow UI at {ui_url}."
    if len(frame) > MAXIMUM_ROWS:
        caption += f" The first {MAXIMUM_ROWS:,} of {len(frame):,}; all are in runs.csv, with their links."
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table([*head, "stopped by", "left out"], rows, caption, 1, sortable=True).without("left out")


def _texts(columns: list[list[str]]) -> list[list[Cell]]:
    return [[*column] for column in columns]
