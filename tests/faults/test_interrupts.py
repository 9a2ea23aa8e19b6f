"""Ctrl-C as a terminal sends it: to every process of the command at once."""

import contextlib
import fcntl
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
from pathlib import Path

from initdist import names
from tests.command import LONG, by_identity, in_process, kept, runs, wait_for, with_store

ENDLESS = ("-m", "model.width=16", "seed=range(0,3)", *LONG, "stop.max_epochs=1000000")


class Terminal:
    """A command in a terminal of its own, and what it has shown there."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.keyboard, screen = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "initdist.train", *overrides],
            cwd=folder,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(screen)
        os.set_blocking(self.keyboard, False)
        self.shown = ""

    def read(self) -> None:
        with contextlib.suppress(OSError):  # nothing new, or the command has ended
            while part := os.read(self.keyboard, 65536):
                self.shown += part.decode(errors="replace")

    def shows(self, text: str) -> bool:
        self.read()
        return text in self.shown

    def heeds(self, number: int) -> bool:
        """Whether the command has a handler for a signal: for SIGTERM, none before its own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)

    def ctrl_c(self) -> None:
        os.write(self.keyboard, b"\x03")

    def ends(self) -> int:
        """The exit code that a shell shows: Python ends by the signal itself if Ctrl-C met the `exec` of a text."""
        wait_for(lambda: self.read() or self.process.poll() is not None)
        self.read()
        os.close(self.keyboard)
        code = self.process.returncode
        return code if code >= 0 else 128 - code


def test_ctrl_c_ends_the_runs_as_killed_and_a_second_one_leaves_at_once(tmp_path):
    """The store is locked in between, so that the first cannot come to its end."""
    once = Terminal(with_store(tmp_path), *ENDLESS)
    wait_for(lambda: once.read() or len(kept(tmp_path, names.CHECKPOINT_FILE)) == 3)
    once.ctrl_c()
    assert once.ends() == 130
    assert "3 networks: 0 finished (0 diverged), 0 skipped (finished before), 0 failed, 3 not trained" in once.shown
    assert "Traceback" not in once.shown
    assert {one.info.status for kind in ("network", "sweep") for one in runs(tmp_path, kind)} == {"KILLED"}

    twice = Terminal(tmp_path, *ENDLESS)
    wait_for(lambda: twice.read() or sum(one.info.status == "RUNNING" for one in runs(tmp_path)) == 3)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        twice.ctrl_c()
        wait_for(lambda: twice.shows("Ctrl-C again leaves at once"))
        twice.ctrl_c()
        assert twice.ends() == 130
        store.rollback()
    assert "left at once" in twice.shown
    assert "Traceback" not in twice.shown
    assert sum(one.info.status == "RUNNING" for one in runs(tmp_path)) == 3

    in_process(tmp_path, *ENDLESS[:-1], "stop.max_epochs=2")  # other networks: it closes what was left
    assert "RUNNING" not in {one.info.status for one in runs(tmp_path)}
    assert len(by_identity(tmp_path)) == 3


def test_ctrl_c_before_there_is_a_sweep_leaves_nothing(tmp_path):
    early = Terminal(tmp_path, "-m", "seed=range(0,4000)", *LONG)
    wait_for(lambda: early.heeds(signal.SIGTERM))  # it begins to compose
    early.ctrl_c()
    assert early.ends() == 130
    assert "Traceback" not in early.shown
    assert not (tmp_path / "mlflow.db").exists()
