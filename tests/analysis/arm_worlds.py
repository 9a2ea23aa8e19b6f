"""Planted worlds for interventions on the distance: the slope by intervention is a known multiple of the observed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from worlds import DEFAULTS, Planted, metrics

from multirun_analysis.runs.arms import settled

BALLS, SHELLS = (0.7, 0.85), (1.15, 1.3)


def planted_arms(
    ratio: float = 1.0,
    shift: float = 0.0,
    *,
    slope: float = 0.04,
    sd: float = 0.0005,
    own: float = 0.02,
    widths: Sequence[int] = (16, 64, 256),
    noises: Sequence[float] = (0.0, 0.5),
    seeds: int = 5,
    balls: Sequence[float] = BALLS,
    shells: Sequence[float] = SHELLS,
    decays: Sequence[float] = (0.001,),
    infeasible: float = 0.0,
    sweep: str | None = None,
    seed: int = 11,
) -> list[Planted]:
    """Free: gap = level + the seed's (sd `own`) + slope (distance - its width's). Arms: the free gap + ratio slope
    (distance - the free one), under init_decay + shift. Balls below `infeasible` reach the threshold with one seed."""
    rng = np.random.default_rng(seed)
    runs = []

    def add(params: dict[str, Any], distance: float, gap: float, number: int, reached: bool = True) -> None:
        reason = "threshold" if reached else "max_epochs"
        p, width = params["noise.level"], params["model.width"]
        # worlds.metrics takes the clean gap: of the gap under noise that is intended here.
        clean = ((gap + 0.002 - 0.9 * p) / (1 - p)) - 0.002
        made = metrics(distance, clean, width=width, noise=p)
        runs.append(Planted(params, made, number, stop_reason=reason, sweep=sweep))

    for p, width in product(noises, widths):
        centre = 4 + 5 * p - 0.5 * math.log2(width / widths[0])
        for number in range(seeds):
            params = {"model.width": width, "noise.level": p, "constraint.name": "none"}
            lift = own * np.random.default_rng(number).normal()
            free = centre + rng.normal(0, 0.05)
            base = 0.1 + 0.2 * p + lift + slope * (centre - 4 - 5 * p)
            own_gap = base + rng.normal(0, sd)
            add(params, free, own_gap, number)
            for name, times in (("init_ball", balls), ("init_shell", shells)):
                for k in times:
                    held = {"constraint.name": name, "constraint.of_free": k, "constraint.radius": k * free}
                    gap = own_gap + ratio * slope * (k - 1) * free + rng.normal(0, sd)
                    add(params | held, k * free, gap, number, k >= infeasible or number == 0)
            for decay in decays:
                gap = own_gap + ratio * slope * -0.1 * free + shift + rng.normal(0, sd)
                add(params | {"constraint.name": "init_decay", "constraint.decay": decay}, 0.9 * free, gap, number)
    return runs


def frame_of(runs: Sequence[Planted]) -> pd.DataFrame:
    """As load_runs would return it."""
    rows = []
    for run in runs:
        seeds = dict.fromkeys(("seed", "seeds.init", "seeds.data", "seeds.noise", "seeds.order"), run.seed)
        row = {**DEFAULTS, **seeds, "constraint.of_free": math.nan, "constraint.radius": math.nan}
        row |= {"constraint.decay": math.nan, "model.init_offset": 0.0}
        rows.append({**row, **run.params, **run.metrics, "stop_reason": run.stop_reason})
    return settled(pd.DataFrame(rows))
