"""Which process trains a network, so that two commands at once do not train it twice.

A lease is a file in the network's own folder under `checkpoint.dir`. All are taken and given back under one lock. A
process of another host cannot be asked whether it lives: its lease stands until the folder is removed.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from initdist.errors import StorageError
from initdist.files import replaced
from initdist.tracking import is_dead, is_process, this_process

FILE = "claim"  # the name that commands of earlier versions know
COMMANDS = ".commands"  # a line for each command that began here or gave leases back, in their order
KEPT = 100  # of these lines


@dataclass(frozen=True)
class Held:
    """Networks that this process may train, and whether another command was here since this one began."""

    mine: frozenset[str]
    others: bool


@contextlib.contextmanager
def held(base: Path, identities: Sequence[str], command: str) -> Iterator[Held]:
    """Take leases of those of these networks that no other living process has; given back at the end.

    `command` is the same in all processes of one command. Raises StorageError where nothing can be written.
    """
    mine: set[str] = set()
    try:
        with _locked(base):
            others = was_shared(base, command)
            for identity in identities:
                if not _other(base / identity / FILE):
                    _write(base / identity / FILE, this_process())
                    mine.add(identity)
        yield Held(frozenset(mine), others)
    finally:
        with contextlib.suppress(OSError, StorageError), _locked(base):
            for identity in mine:
                _release(base / identity)
            _note(base, command)  # what this command has finished is news to the others


def _release(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if (folder / FILE).read_text() == this_process():
            (folder / FILE).unlink()
        folder.rmdir()  # it stays where a checkpoint or an outcome is left


def enter(base: Path, command: str) -> None:
    """Say that a command begins here."""
    with _locked(base):
        _note(base, command)


def clear(base: Path, identities: Collection[str]) -> None:
    """Remove all that is kept of these networks, but for those that another living process trains now."""
    with _locked(base):
        for folder in base.glob("*/"):
            if folder.name in identities and not _other(folder / FILE):
                shutil.rmtree(folder, ignore_errors=True)


def was_shared(base: Path, command: str) -> bool:
    """Whether another command has begun here, or given leases back, since this one began."""
    commands = _commands(base)
    return command not in commands or any(one != command for one in commands[commands.index(command) :])


def elsewhere(base: Path, identities: Iterable[str]) -> set[str]:
    """Those of these networks that another living process trains now."""
    return {identity for identity in identities if _other(base / identity / FILE)}


def _other(file: Path) -> bool:
    try:
        owner = file.read_text(errors="replace")
    except OSError:
        return False
    return is_process(owner) and owner != this_process() and not is_dead(owner)


def _commands(base: Path) -> list[str]:
    try:
        return (base / COMMANDS).read_text(errors="replace").split()
    except OSError:
        return []


def _note(base: Path, command: str) -> None:
    commands = _commands(base)
    if commands[-1:] != [command]:
        _write(base / COMMANDS, "\n".join([*commands[1 - KEPT :], command]))


@contextlib.contextmanager
def _locked(base: Path) -> Iterator[None]:
    from filelock import FileLock

    lock = FileLock(base / ".lock")
    try:
        base.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise StorageError.of(base, error) from error
    try:
        yield
    finally:
        lock.release()


def _write(file: Path, text: str) -> None:
    try:
        with replaced(file) as beside:
            beside.write_text(text)
    except OSError as error:
        raise StorageError.of(file, error) from error
