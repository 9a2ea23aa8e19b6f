"""Which process trains a network, so that two commands at once do not train it twice.

A lease is a file in the network's own folder under `checkpoint.dir`. All are taken and given back under one lock. While
its process lives a lease is renewed: one of a process that cannot be seen from here, on another host or in a container,
expires when that has not happened for a while. The file system's clock alone tells for how long.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from initdist.errors import StorageError
from initdist.files import replaced
from initdist.tracking import described, is_process, lives, this_process

FILE = "claim"  # the name that commands of earlier versions know
RENEWED, EXPIRES = 30.0, 240.0  # seconds; an NFS client may show a file as it was a minute ago


@dataclass(frozen=True)
class Lease:
    """A lease that another process has."""

    owner: str
    age: float  # seconds since it was taken or renewed

    @property
    def stands(self) -> bool:
        seen = lives(self.owner)
        return self.age < EXPIRES if seen is None else seen

    def __str__(self) -> str:
        return f"{described(self.owner)}, renewed {self.age:.0f} s ago"


@dataclass(frozen=True)
class Leases:
    """The leases in a folder of networks' folders."""

    base: Path

    @contextlib.contextmanager
    def held(self, identities: Collection[str]) -> Iterator[set[str]]:
        """Take leases of those of these networks that no other living process has; given back at the end.

        Raises StorageError where nothing can be written.
        """
        mine: set[str] = set()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(mine, ended), name="leases", daemon=True)
        try:
            with self._locked():
                taken = self.elsewhere(identities)
                for identity in identities:
                    if identity not in taken:
                        _write(self._file(identity))
                        mine.add(identity)
            renewal.start()
            yield set(mine)
        finally:
            ended.set()
            with contextlib.suppress(OSError, StorageError), self._locked():
                for identity in mine:
                    self._release(identity)

    def elsewhere(self, identities: Iterable[str]) -> dict[str, Lease]:
        """Those of these networks that another living process trains now."""
        return {identity: lease for identity, lease in self._others(identities) if lease.stands}

    def gone(self) -> set[str]:
        """Processes with leases here that do not stand."""
        found = [lease for _, lease in self._others(folder.name for folder in self.base.glob("*/"))]
        return {one.owner for one in found if not one.stands} - {one.owner for one in found if one.stands}

    def clear(self, identities: Collection[str]) -> None:
        """Remove all that is kept of these networks, but for those that another living process trains now."""
        with self._locked():
            there = [folder.name for folder in self.base.glob("*/") if folder.name in identities]
            for identity in set(there) - self.elsewhere(there).keys():
                shutil.rmtree(self.base / identity, ignore_errors=True)

    def _file(self, identity: str) -> Path:
        return self.base / identity / FILE

    def _others(self, identities: Iterable[str]) -> Iterator[tuple[str, Lease]]:
        """The leases that name another process."""
        now = None
        for identity in identities:
            with contextlib.suppress(OSError):
                owner = _owner(self._file(identity))
                if is_process(owner) and owner != this_process():
                    now = now or self._now()
                    yield identity, Lease(owner, max(0.0, now - self._file(identity).stat().st_mtime))

    def _now(self) -> float:
        """By the clock that dates renewals. Where it cannot be asked, nothing expires."""
        try:
            with tempfile.TemporaryFile(dir=self.base) as file:
                return os.fstat(file.fileno()).st_mtime
        except OSError:
            return -math.inf

    def _renew(self, mine: Collection[str], ended: threading.Event) -> None:
        while not ended.wait(RENEWED):
            for identity in mine:
                with contextlib.suppress(OSError):
                    if _owner(self._file(identity)) == this_process():
                        os.utime(self._file(identity))

    def _release(self, identity: str) -> None:
        with contextlib.suppress(OSError):
            if _owner(self._file(identity)) == this_process():
                self._file(identity).unlink()
            self._file(identity).parent.rmdir()  # it stays where a checkpoint or an outcome is left

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        lock = FileLock(self.base / ".lock")
        try:
            self.base.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise StorageError.of(self.base, error) from error
        try:
            yield
        finally:
            lock.release()


def _owner(file: Path) -> str:
    return file.read_text(errors="replace")


def _write(file: Path) -> None:
    try:
        with replaced(file) as beside:
            beside.write_text(this_process())
    except OSError as error:
        raise StorageError.of(file, error) from error
