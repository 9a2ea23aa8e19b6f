"""How far a whole command is, and how long the rest takes."""

from __future__ import annotations

import io
import time

import pytest
from helpers import tiny

from initdist.sweeps import planning
from initdist.sweeps.outlook import Outlook
from initdist.sweeps.planning import Job
from initdist.sweeps.progress import Display


def _jobs() -> list[Job]:
    """Two networks of width 16, then one of width 512."""
    narrow = [planning.network(tiny({"model.width": 16, "seed": seed})) for seed in range(2)]
    wide = [planning.network(tiny({"model.width": 512, "seed": 0}))]
    return [Job((), tuple(narrow)), Job((), tuple(wide))]


def test_a_wide_network_counts_for_more_than_narrow_ones_and_what_is_finished_for_nothing() -> None:
    jobs = _jobs()
    everything = frozenset(one.identity for job in jobs for one in job.networks)
    outlook = Outlook.of(jobs, everything, workers=2)
    assert outlook.networks == 3
    assert outlook.fraction(0, 0.0) == 0
    assert 0 < outlook.fraction(0, 0.5) < outlook.fraction(0, 1.0) == outlook.fraction(1, 0.0) < 0.1
    assert outlook.fraction(1, 1.0) == pytest.approx(1)
    rest = Outlook.of(jobs, everything - {jobs[1].networks[0].identity}, workers=2)
    assert (rest.networks, rest.fraction(0, 1.0)) == (2, pytest.approx(1))
    assert outlook.seconds > 0


def test_what_is_said_first_is_a_guess_and_later_what_was_measured() -> None:
    outlook = Outlook(36, (1.0, 3.0), seconds=200.0, opened=time.time() - 10)
    assert outlook.describe(0, 0.0) == "all 36 networks: 0% of the work, very roughly 3m 20s left"
    assert outlook.describe(1, 0.0) == "all 36 networks: 25% of the work, about 30s left"
    assert outlook.describe(1, 1.0) == "all 36 networks: 100% of the work"


def test_it_stands_behind_what_is_said_of_the_job() -> None:
    stream = io.StringIO()
    with Display("job 0", {"0": tiny()}, stream, whole=lambda fraction: f"all: {fraction:.0%}"):
        pass
    assert stream.getvalue().splitlines() == ["job 0: training 1 network; all: 0%", "job 0: 0/1 networks; all: 0%"]
