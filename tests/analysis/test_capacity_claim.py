"""Claim C6 on planted stores in which it is true, false in each of its ways, and undecidable."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import Planted, Store, metrics

import multirun_analysis
from initdist import names
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.session import analyze
from multirun_analysis.stats import claims
from multirun_analysis.stats.claims.paper_claims import CLAIMS
from multirun_analysis.stats.claims.results import ClaimResult

INIT, ORIGIN = names.measure("capacity_init_ball"), names.measure("capacity_origin_ball")
WIDTHS = (16, 64, 256)


def capacities(width: int, init: float, origin: float, scatter: float, rng: np.random.Generator) -> dict[str, float]:
    """Capacities with these exponents in the width."""
    values = {INIT: 2 * (width / 16) ** init, ORIGIN: 5 * (width / 16) ** origin}
    return {name: value * math.exp(scatter * rng.normal()) for name, value in values.items()}


def one(frame: pd.DataFrame) -> ClaimResult:
    (result,) = claims(frame, stated=[claim for claim in CLAIMS if claim.id == "C6"])
    return result


def world(init: float, origin: float, *, scatter: float = 0.01, seeds: int = 4, repeat: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(repeat)
    rows = [
        {"model.width": width, "model.depth": depth, names.SEED: seed, **capacities(width, init, origin, scatter, rng)}
        for width, depth, seed in product(WIDTHS, (2, 3), range(seeds))
    ]
    return pd.DataFrame(rows)


def test_planted_stores_are_found_as_they_are(tmp_path: Path) -> None:
    """Through MLflow's own client: the init ball's exponent, the origin ball's, their scatter -> the verdict."""
    planted = {
        (0.01, 0.4, 0.01): "supported",
        (0.20, 0.6, 0.01): "contradicted",  # the first part fails
        (0.00, -0.2, 0.01): "contradicted",  # the second part fails
        (0.00, 0.4, 0.50): "undecided",
    }
    for number, (exponents, verdict) in enumerate(planted.items()):
        rng = np.random.default_rng(number)
        runs = [
            Planted({"model.width": width}, metrics(4.0, 0.1, width=width) | capacities(width, *exponents, rng), seed)
            for width, seed in product(WIDTHS, range(3))
        ]
        store = Store(tmp_path, f"world {number}")
        store.add(runs)
        result = one(multirun_analysis.load_runs(store.uri, f"world {number}"))
        assert result.verdict == verdict, exponents
        if verdict != "supported":
            continue
        assert result.overall == pytest.approx(0.01, abs=0.01)
        assert result.cells[0].growing == pytest.approx(0.39, abs=0.02)
        config = AnalysisConfig(Tracking(store.uri, "world 0"), out=str(tmp_path / "out"))
        analyze(config, tmp_path)
        text = (tmp_path / "out" / "report.md").read_text()
        (row,) = [line for line in text.splitlines() if line.startswith("| C6 | The capacity of the ball around the i")]
        assert [cell.strip() for cell in row.split("|")[3:9:5]] == ["supported", "1 / 0 / 0 / 0"]
        assert row.split("|")[7].strip() == "within ± 0.05"
        assert "must be above 0. It is 0.39" in text or "must be above 0. It is 0.38" in text
        assert "capacity_against_width" in text
        assert (tmp_path / "out" / "figures" / "capacity_against_width.png").stat().st_size > 5_000


def test_a_capacity_that_falls_is_no_equivalence_and_is_said_to_fall() -> None:
    result = one(world(-0.2, 0.3))
    assert (result.verdict, result.counts["contradicted"]) == ("contradicted", 2)
    assert "In 2 contradicted cells the capacity of the ball around the initialization falls with width" in (
        result.sentence
    )
    assert result.overall_limit is not None
    assert -0.2 < result.overall_limit < -0.05  # the limit on the margin's side
    assert "margin ±0.05" in result.sentence
    assert "falls" not in one(world(0.2, 0.3)).sentence


def test_what_is_not_logged_leaves_it_undecided() -> None:
    frame = world(0.0, 0.4)
    assert one(frame.drop(columns=ORIGIN)).sentence == f"C6 undecided: {ORIGIN} is not logged."
    assert one(frame.drop(columns=INIT)).sentence == f"C6 undecided: {INIT} is not logged."
    frame.loc[frame["model.depth"] == 3, ORIGIN] = np.nan
    result = one(frame)
    assert (result.verdict, result.tested) == ("undecided", 1)
    assert result.cells[1].note == "the ball around the origin cannot be tested here"
    frame.loc[frame["model.depth"] == 3, INIT] = 0.0
    assert one(frame).cells[1].note == "no seed has two levels"


@pytest.mark.parametrize(("init", "origin"), [(0.05, 0.5), (-0.05, 0.5), (0.0, 0.0)])
def test_at_each_of_its_margins_a_wrong_verdict_is_rare(init: float, origin: float) -> None:
    """Just outside of the margin `supported` would be wrong, just inside `contradicted`."""
    verdicts = [one(world(init, origin, scatter=0.03, repeat=repeat)).verdict for repeat in range(60)]
    most = 0.05 + 4 * math.sqrt(0.05 * 0.95 / 60)
    assert verdicts.count("supported") / 60 <= most
    assert verdicts.count("contradicted") / 60 <= most


def test_an_equivalence_that_is_there_is_found() -> None:
    verdicts = [one(world(0.0, 0.3, scatter=0.03, repeat=repeat)).verdict for repeat in range(40)]
    assert verdicts.count("supported") >= 36
