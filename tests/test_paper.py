"""`make paper`: parts are trained and judged by the commands of a reader; the page says what they found."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from multirun_analysis.paper import findings, summary
from multirun_analysis.paper.parts import PARTS, SIZES
from tests.command import client, in_process, with_store

COMMAND = (sys.executable, "-m", "multirun_analysis.paper", "--size", "small", "--parts", "labels")


def started(folder):
    """In a group of its own, which a terminal would send Ctrl-C to; its output in a file, which never fills a pipe."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with (folder / "said").open("a") as said:
        return subprocess.Popen(
            [*COMMAND, "--folder", "paper"],
            cwd=folder,
            start_new_session=True,
            stdout=said,
            stderr=said,
            env=environment,
        )


def finished(folder):
    """Whether a network of the part has finished."""
    there = client(folder)
    experiment = there.get_experiment_by_name("paper/small/labels")
    condition = "attributes.status = 'FINISHED' and tags.`initdist.kind` = 'network'"
    return experiment is not None and bool(there.search_runs([experiment.experiment_id], condition))


def test_it_goes_on_where_it_was_stopped_and_tells_of_every_part(tmp_path):
    store = tmp_path / "paper/mlflow.db"
    process, deadline = started(tmp_path), time.monotonic() + 300
    while not (store.exists() and finished(store.parent)):
        assert process.poll() is None, (tmp_path / "said").read_text()
        assert time.monotonic() < deadline, (tmp_path / "said").read_text()
        time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == 130
    assert "initdist: interrupted: the same command goes on where it was" in (tmp_path / "said").read_text()
    assert not (tmp_path / "paper/paper.md").exists()

    (tmp_path / "said").unlink()
    assert started(tmp_path).wait(300) == 0, (tmp_path / "said").read_text()
    told = (tmp_path / "said").read_text()
    trained, before = map(int, re.search(r"(\d+) to train, (\d+) finished before", told).groups())
    assert (trained + before, 0 < before < 12) == (12, True)
    assert re.search(r"=== labels: [\d.]+ min; paper/labels/figures/distance_against_noise.png", told)
    assert {*json.loads((tmp_path / "paper/times.json").read_text())["seconds"]} == {"labels"}

    page = (tmp_path / "paper/paper.md").read_text()
    assert "12 networks to test each of their claims" in page.replace("\n", " ")
    assert "**This is the `small` size of the paper" in page
    assert [line for line in page.splitlines() if line.startswith("### ")] == ["### C4: supported"]
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page):
        assert (tmp_path / "paper" / picture).read_bytes().startswith(b"\x89PNG")
    kept = pd.read_csv(tmp_path / "paper/paper/labels.csv.gz")  # with the runs that were stopped
    assert (kept["status"] == "FINISHED").sum() == 12
    text = (tmp_path / "paper/paper.tex").read_text()
    for picture in re.findall(r"\\includegraphics\[[^]]*\]\{([^}]+)\}", text):
        assert (tmp_path / "paper" / picture).read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("size", SIZES)
def test_every_part_has_its_experiment_in_every_size(size, tmp_path):
    """They compose; the small ones, whose data is embedded, are planned to the last network."""
    for part in PARTS:
        name = part.experiment(size)
        if size == "small":
            printed = in_process(with_store(tmp_path), f"experiment={name}", *part.before, "dry_run=true").stdout
            assert "finished before" in printed
        config = in_process(tmp_path, f"experiment={name}", "--cfg", "job").stdout
        assert f"experiment: {name}" in config


def test_what_there_is_no_report_of_is_said(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--page", "--folder", str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "must hold the report of a part at least, got none; run without --page" in done.stderr
    done = subprocess.run([*COMMAND[:-1], "width,bredth"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--parts must be of width, samples, labels" in done.stderr
    assert "got bredth" in done.stderr


def _claim(verdicts: dict[float, str], **own) -> dict:
    """A claim of statistics.json as far as the page reads it: cells of p with their verdicts."""
    cells = [
        {"cell": {"noise.level": p}, "effect": -0.1 * (1 + p), "interval": None, "verdict": verdict}
        for p, verdict in verdicts.items()
    ]
    counts = {verdict: list(verdicts.values()).count(verdict) for verdict in verdicts.values()}
    about = {"unit": "exponent"}
    return {"claim": about, "cells": cells, "counts": counts, "parts": [], "bounds": []} | own


def test_an_answer_says_where_a_claim_does_not_hold_and_which_way():
    mean = {"overall": -0.1, "overall_interval": {"low": -0.2, "high": -0.05}, "smallest": -0.15, "largest": -0.1}
    every = _claim({0.0: "supported", 0.5: "supported"}, verdict="supported", **mean)
    assert summary.answer({}, {"C3": every})[0][1].endswith("samples (C3: −0.100 [−0.200, −0.0500]).")
    some = _claim({0.0: "contradicted", 0.5: "supported"}, verdict="supported", overall=None, smallest=None)
    assert "(C7; cells: 1 for, 1 against)" in summary.answer({}, {"C7": some})[0][1]
    assert findings.by_level(some) == ["p: 0: 1 against; 0.5: 1 for"]
    falls = _claim({0.0: "contradicted", 0.5: "undecided"}, verdict="contradicted", **mean)
    ((_, text),) = summary.answer({}, {"C6": falls})
    assert "the initialization falls with width (C6: −0.100 [−0.200, −0.0500]; cells: 1 against, 1 open)" in text
    points = every | {"claim": {"unit": "the test error, in percentage points"}}
    assert findings.effect(points) == "−0.100 [−0.200, −0.0500] points"


def test_the_axes_of_a_league_are_told_by_how_the_distance_does_on_them():
    def tau(verdict):
        return {"value": 0.5, "verdict": verdict}

    axes = {"dataset.train_size": tau("positive"), "model.width": tau("positive"), "optimizer.lr": tau("negative")}
    distance = {"measure": "distance_from_init", "psi": {"by_axis": axes | {"model.depth": tau("includes 0")}}}
    league = findings.League({"rows": [distance | {"configurations": 3}], "configurations": 4})
    assert league.by_axis() == (
        "Where only n or width moves, the distance goes with the gap; where only lr moves, it goes the other way; "
        "where only depth moves, it is not shown to go with the gap."
    )
    assert league.configurations(league.distance) == " (3 of 4)"
