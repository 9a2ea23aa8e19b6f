"""The cores of a machine, where jobs that run side by side share them: one lock a core.

A lock is given back by `release`, and by the end of its process, whatever ends it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from initdist import cores

LOOK = 1.0  # seconds between two looks for a core that another job has given back


@dataclass(frozen=True)
class SharedCores:
    """Those that all processes of this machine share which name the same."""

    among: str

    def free(self) -> FileLock | None:
        """The lock of a core that none of them has; None where all are taken."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(cores.usable()):
            lock = FileLock(self._folder / str(number))
            try:
                lock.acquire(blocking=False)
                return lock
            except (Timeout, FileNotFoundError):  # taken; or removed just now, by the last one to leave
                continue
        return None

    def wait(self) -> FileLock:
        """The same, as soon as there is one."""
        said = False
        while (lock := self.free()) is None:
            if not said:
                print(f"initdist: waiting for one of {cores.usable()} cores: other jobs train on them", flush=True)
            said = True
            time.sleep(LOOK)
        return lock

    def forget(self) -> None:
        """Remove the files of the locks if nobody has one. Who is about to take one makes them anew."""
        held = [lock for _ in range(cores.usable()) if (lock := self.free())]
        if len(held) == cores.usable():
            shutil.rmtree(self._folder, ignore_errors=True)
        for lock in held:
            lock.release()

    @property
    def _folder(self) -> Path:
        """On this machine's own disk: not every file server has locks. Each job of SLURM has cores of its own."""
        own = hashlib.sha256(f"{self.among}\n{os.environ.get('SLURM_JOB_ID', '')}".encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"initdist-{os.getuid()}" / own
