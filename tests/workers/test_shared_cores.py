"""The cores of a machine among jobs: never more at once than there are, and none is lost with a process."""

import contextlib
import subprocess
import sys
import tempfile

import pytest

from initdist import cores
from initdist.workers.shared_cores import SharedCores

HOLD = """
import sys
from initdist import cores
from initdist.workers.shared_cores import SharedCores
cores.usable = lambda: 2
lock = SharedCores(sys.argv[1]).free()
print("none" if lock is None else "one", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def among(tmp_path, monkeypatch):
    """A name to share two cores under, whose locks are in a folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(cores, "usable", lambda: 2)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return "a sweep"


@contextlib.contextmanager
def other(among):
    """Another process, that takes a core if there is one; whether it did."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, among], text=True, **pipes) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_no_more_have_a_core_than_there_are_and_a_killed_one_gives_its_back(among, monkeypatch, tmp_path):
    ours = SharedCores(among)
    with other(among) as (process, got):
        assert got == "one"
        mine = ours.free()
        assert mine is not None
        assert ours.free() is None
        assert SharedCores("another sweep").free() is not None
        with other(among) as (_, nothing):
            assert nothing == "none"
        monkeypatch.setenv("SLURM_JOB_ID", "7")  # of other cores
        assert ours.free() is not None
        monkeypatch.delenv("SLURM_JOB_ID")
        process.kill()
        process.wait()
        again = ours.wait()
    ours.forget()
    assert ours.free() is None  # two are held: nothing was forgotten
    again.release()
    mine.release()
    ours.forget()
    assert not ours._folder.exists()
    assert ours._folder.is_relative_to(tmp_path)
