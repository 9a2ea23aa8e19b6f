"""A report takes the place of an earlier one, and touches no file of anybody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from multirun_analysis import AnalysisError, report, uptodate
from multirun_analysis.config import AnalysisConfig, Tracking
from multirun_analysis.session import analyze

FILES = {"report.md": b"a report", "figures/one.svg": b"a figure", "figures/two.svg": b"another"}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != uptodate.MANIFEST
    }


def own(folder: Path) -> tuple[str, ...]:
    found = uptodate.load(folder)
    return () if found is None else tuple(found.files)


@pytest.mark.parametrize("name", ["report.md", "runs.csv", "figures/mine.png", "figures/deep/mine.svg"])
def test_a_folder_with_files_that_would_be_overwritten_is_refused_and_left_alone(name, tmp_path, planted):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(AnalysisError, match=rf"^out=.* must be a directory of its own, got one with {re.escape(name)}"):
        analyze(AnalysisConfig(Tracking(planted.uri), out="."), tmp_path)
    assert tree(tmp_path) == before
    assert not (tmp_path / uptodate.MANIFEST).exists()


def test_what_an_earlier_analysis_left_goes_and_all_else_stays(tmp_path):
    mine = {"figures/notes.txt": b"mine", "data.csv": b"mine"}
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    report.prepare(tmp_path, ())
    uptodate.write(tmp_path, FILES, ())
    assert tree(tmp_path) == mine | FILES
    report.prepare(tmp_path, own(tmp_path))
    again = {"report.md": b"a second report", "figures/one.svg": b"a figure"}
    assert uptodate.write(tmp_path, again, own(tmp_path)) == [tmp_path / name for name in again]
    assert tree(tmp_path) == mine | again


def test_a_report_that_was_cut_off_is_known_as_ours_and_never_current(tmp_path):
    class CutOff(Exception):
        pass

    class Content(dict):
        def items(self):
            yield from list(super().items())[:2]
            raise CutOff

    with pytest.raises(CutOff):
        uptodate.write(tmp_path, Content(FILES), ())
    assert set(tree(tmp_path)) == {"report.md", "figures/one.svg"}
    assert uptodate.load(tmp_path).key == ""
    report.prepare(tmp_path, own(tmp_path))
    uptodate.write(tmp_path, {"report.md": b"whole"}, own(tmp_path))
    assert tree(tmp_path) == {"report.md": b"whole"}
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("name", ["../elsewhere.txt", "/etc/passwd"])
def test_a_list_of_files_that_leads_elsewhere_is_not_believed(name, tmp_path):
    uptodate.save(tmp_path, uptodate.Manifest("", (), "", {name: ""}, (), logged=False))
    assert uptodate.load(tmp_path) is None
