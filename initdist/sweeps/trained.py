"""What a command has trained, as a table for the terminal: each configuration, its mean and spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from initdist import names
from initdist.config.identity import result_leaves
from initdist.sweeps.planning import Network
from initdist.sweeps.summary import counted

SHOWN = 20  # configurations; of more, the last and so the largest
SHORT = {"dataset.train_size": "n", "noise.level": "p", "noise.name": "noise", "loss.name": "loss"}
# Metric -> its head, and what it is multiplied by.
METRICS = {
    names.DISTANCE: ("distance", 1.0),
    names.TRAIN_ERROR: ("train error %", 100.0),
    names.TEST_ERROR: ("test error %", 100.0),
    names.GAP: ("gap %", 100.0),
    names.GAP_NOISY: ("noisy gap %", 100.0),  # where labels are noisy
}


def table(networks: Sequence[Network], metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Lines of text; metrics: of each finished network, by its identity. None where none has any."""
    there = [network for network in networks if metrics.get(network.identity)]
    if not there:
        return []
    leaves = {network.identity: _settings(network) for network in there}
    keys = dict.fromkeys(key for one in leaves.values() for key in one)
    axes = [key for key in keys if len({str(one.get(key)) for one in leaves.values()}) > 1]
    groups: dict[tuple[object, ...], list[Network]] = {}
    for network in there:
        groups.setdefault(tuple(leaves[network.identity].get(axis) for axis in axes), []).append(network)
    ordered = sorted(groups.items(), key=lambda group: [_order(value) for value in group[0]])
    noisy = any(one.config.noise.name == names.LABEL_NOISE and one.config.noise.level > 0 for one in there)
    shown = {metric: how for metric, how in METRICS.items() if noisy or metric != names.GAP_NOISY}
    rows = [[*map(_head, axes), "seeds", *(head for head, _ in shown.values())]]
    for values, members in ordered[-SHOWN:]:
        found = [metrics[network.identity] for network in members]
        cells = [_spread([by * one.get(metric, math.nan) for one in found]) for metric, (_, by) in shown.items()]
        rows.append([*map(_text, values), str(len(members)), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if len(ordered) > SHOWN:
        lines.append(f"and before these {counted(len(ordered) - SHOWN, 'configuration')}: initdist-ls configurations")
    return ["", *lines, ""]


def _settings(network: Network) -> dict[str, object]:
    return {key: value for key, value in result_leaves(network.config).items() if not key.startswith("seeds.")}


def _head(axis: str) -> str:
    section, _, leaf = axis.rpartition(".")
    return SHORT.get(axis, section if leaf == "name" else leaf)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)


def _order(value: object) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))


def _spread(values: Sequence[float]) -> str:
    """`5.84 ± 0.03`: mean and standard deviation of those that are there."""
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean
