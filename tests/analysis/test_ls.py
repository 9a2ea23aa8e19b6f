"""`initdist-ls`: what a store holds, against what pandas says of the same runs."""

from __future__ import annotations

import pytest

from initdist import names
from multirun_analysis import load_runs, ls


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and what follows the table."""
    ls.main(arguments)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    rule = next(number for number, line in enumerate(lines) if set(line) <= {"─", " "})
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    note = [line for line in lines[rule + 1 :] if line.startswith(("Left out", "and ")) or " more: " in line]
    rows = [row for row, line in zip(cells[rule + 1 :], lines[rule + 1 :], strict=True) if line not in note]
    return cells[rule - 1], rows, "\n".join(note)


def test_experiments_and_sweeps_are_counted(planted, capsys):
    head, *_ = listed(capsys, f"tracking.uri={planted.uri}", "--all")
    assert "seeds" in head  # keys alone mean the configurations
    head, rows, _ = listed(capsys, "experiments", f"tracking.uri={planted.uri}")
    assert head == ["experiment", "finished networks", "other networks", "sweeps", "last run"]
    found = {row[0]: row for row in rows}
    frame = load_runs(planted.uri, excluded=True)
    assert int(found["initdist"][1]) == (frame["status"] == "FINISHED").sum()
    head, rows, _ = listed(capsys, "sweeps", f"tracking.uri={planted.uri}")
    assert {row[0]: int(row[1]) for row in rows} == frame.groupby("sweep").size().to_dict()


@pytest.mark.parametrize("world", ["planted", "messy"])
def test_configurations_are_means_over_seeds_and_what_is_left_out_is_said(world, request, capsys):
    uri = request.getfixturevalue(world).uri
    head, rows, note = listed(capsys, "configurations", f"tracking.uri={uri}", "--all")
    frame = load_runs(uri)
    seeds = head.index("seeds")
    assert sum(int(row[seeds]) for row in rows) == len(frame)
    place = head.index("distance from init")
    means = sorted(float(row[place].split(" ± ")[0]) for row in rows)
    axes = [axis for axis in frame if "." in axis and not axis.startswith("seed") and "/" not in axis]
    varied = [axis for axis in axes if frame[axis].nunique(dropna=False) > 1]
    expected = frame.groupby(varied, dropna=False)[names.DISTANCE].mean()
    assert means == pytest.approx(sorted(expected), abs=0.0051)
    left = len(load_runs(uri, excluded=True)) - len(frame)
    assert bool(note) == bool(left)
    assert sum(int(part.split()[0]) for part in note.partition(": ")[2].partition(" (")[0].split(", ") if part) == left


def test_runs_can_be_selected_and_are_shown_up_to_a_limit(planted, capsys):
    frame = load_runs(planted.uri, excluded=True)
    width = int(frame["model.width"].mode()[0])
    head, rows, _ = listed(capsys, "runs", f"tracking.uri={planted.uri}", f"where.model.width={width}", "--all")
    assert head[:2] == ["run", "id"]
    assert sorted(row[1] for row in rows) == sorted(frame[frame["model.width"] == width]["run_id"])
    assert len(frame) > ls.MOST
    _, rows, note = listed(capsys, "runs", f"tracking.uri={planted.uri}")
    assert (len(rows), note) == (ls.MOST, f"{len(frame) - ls.MOST} more: --all shows them")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mnist",), "got 'mnist'; of an experiment: configurations tracking.experiment=mnist"),
        (("runs", "where.model.widths=3"), "did you mean model.width?"),
        (("runs", "tracking.experiment=[a,b]"), "tracking.experiment must name one experiment, got a, b"),
        (("runs", "tracking.experiment=none"), "none"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(planted, capsys, arguments, told):
    with pytest.raises(SystemExit) as end:
        ls.main([*arguments, f"tracking.uri={planted.uri}"])
    said = capsys.readouterr().err if isinstance(end.value.code, int) else str(end.value.code)
    assert told in said
