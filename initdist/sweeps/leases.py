"""Which process trains a network, so that two commands at once do not train it twice.

A lease is a file in the network's own folder under `checkpoint.dir`. All are taken and given back under one lock. While
its process lives a lease is renewed: one of a process that cannot be seen from here, on another host or in a container,
expires when that has not happened for a while. The file system's clock alone tells for how long. After a file server
was away, or a machine asleep, all leases look old at once: a command waits for a renewal before it believes that.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from initdist.errors import StorageError
from initdist.files import replaced
from initdist.tracking import described, is_here, is_process, lives, this_process

FILE = "claim"  # the name that commands of earlier versions know
RENEWED, EXPIRES = 30.0, 240.0  # seconds; an NFS client may show a file as it was a minute ago
WAITED = RENEWED + 5  # for one more renewal


@dataclass(frozen=True)
class Lease:
    """A lease that another process has."""

    owner: str
    age: float  # seconds since it was taken or renewed
    lives: bool | None  # None where that cannot be seen from here

    @property
    def stands(self) -> bool:
        return self.age < EXPIRES if self.lives is None else self.lives

    def __str__(self) -> str:
        return f"{described(self.owner)}, renewed {self.age:.0f} s ago"


@dataclass(frozen=True)
class Leases:
    """The leases in a folder of networks' folders."""

    base: Path

    @contextlib.contextmanager
    def held(self, identities: Collection[str], over: Collection[str] = ()) -> Iterator[tuple[set[str], set[str]]]:
        """Take leases of those of these networks that no other living process has; given back at the end.

        Also the processes that had them and are gone, whose runs are to be closed. Those in `over` are known to be,
        unless it is seen that they live. Raises StorageError where nothing can be written.
        """
        mine: set[str] = set()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(mine, ended), name="leases", daemon=True)
        try:
            with self._locked():
                others = {
                    identity: replace(lease, lives=False) if lease.lives is None and lease.owner in over else lease
                    for identity, lease in self._others(self._all())
                }
                for identity in identities:
                    if identity not in others or not others[identity].stands:
                        _write(self._file(identity))
                        mine.add(identity)
            renewal.start()
            yield set(mine), _gone(others.values()) & {others[identity].owner for identity in mine & others.keys()}
        finally:
            ended.set()
            with contextlib.suppress(OSError, StorageError), self._locked():
                for identity in mine:
                    self._release(identity, this_process())

    def elsewhere(self, identities: Iterable[str]) -> dict[str, Lease]:
        """Those of these networks that another living process trains now."""
        return {identity: lease for identity, lease in self._others(identities) if lease.stands}

    def of_other_machines(self) -> list[Lease]:
        """Those that stand and are of processes on other hosts."""
        return [lease for _, lease in self._others(self._all()) if lease.stands and not is_here(lease.owner)]

    def gone(self) -> set[str]:
        """Processes with leases here that do not stand. Waits for a renewal of those that look expired."""
        found = [lease for _, lease in self._others(self._all())]
        if old := {one.owner: str(one) for one in found if one.lives is None and not one.stands}:
            print(f"initdist: waiting {WAITED:.0f} s for a sign of life: {'; '.join(old.values())}", file=sys.stderr)
            time.sleep(WAITED)
            found = [lease for _, lease in self._others(self._all())]
        return _gone(found)

    def clear(self, identities: Collection[str], gone: Collection[str]) -> None:
        """Remove all that is kept of these networks, but for those that another living process trains now.

        Also the leases of processes that are gone: no command need wait for these again.
        """
        with self._locked():
            others = dict(self._others(self._all()))
            for identity in set(self._all()).intersection(identities):
                if identity not in others or not others[identity].stands:
                    shutil.rmtree(self.base / identity, ignore_errors=True)
            for identity, lease in others.items():
                if lease.owner in gone and not lease.stands:
                    self._release(identity, lease.owner)

    def _file(self, identity: str) -> Path:
        return self.base / identity / FILE

    def _all(self) -> Iterator[str]:
        return (folder.name for folder in self.base.glob("*/"))

    def _others(self, identities: Iterable[str]) -> Iterator[tuple[str, Lease]]:
        """The leases that name another process. Each process is asked after once."""
        now, asked = None, cache(lives)
        for identity in identities:
            with contextlib.suppress(OSError):
                owner = _owner(self._file(identity))
                if is_process(owner) and owner != this_process():
                    now = now or self._now()
                    age = max(0.0, now - self._file(identity).stat().st_mtime)
                    yield identity, Lease(owner, age, asked(owner))

    def _now(self) -> float:
        """By the clock that dates renewals. Where it cannot be asked, nothing expires."""
        try:
            with tempfile.TemporaryFile(dir=self.base) as file:
                return os.fstat(file.fileno()).st_mtime
        except OSError:
            return -math.inf

    def _renew(self, mine: Collection[str], ended: threading.Event) -> None:
        said = False
        while not ended.wait(RENEWED):
            for identity in mine:
                try:
                    if _owner(self._file(identity)) == this_process():
                        os.utime(self._file(identity))
                except OSError as error:
                    if not said:
                        print(f"initdist: a lease cannot be renewed, and is written anew: {error}", file=sys.stderr)
                    said = True
                    self._write_anew(self._file(identity), ended)

    def _write_anew(self, file: Path, ended: threading.Event) -> None:
        """Unless it is another's by now."""
        with contextlib.suppress(OSError, StorageError), self._locked():
            if not ended.is_set() and (not file.exists() or _owner(file) == this_process()):
                _write(file)

    def _release(self, identity: str, owner: str) -> None:
        with contextlib.suppress(OSError):
            if _owner(self._file(identity)) == owner:
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


def _gone(found: Collection[Lease]) -> set[str]:
    return {one.owner for one in found if not one.stands} - {one.owner for one in found if one.stands}


def _owner(file: Path) -> str:
    return file.read_text(errors="replace")


def _write(file: Path) -> None:
    try:
        with replaced(file) as beside:
            beside.write_text(this_process())
    except OSError as error:
        raise StorageError.of(file, error) from error
