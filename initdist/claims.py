"""Which process trains a network, so that two commands at once do not train it twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from initdist.tracking import is_dead, this_process

FILE = "claim"


@contextlib.contextmanager
def held(base: Path, identities: Sequence[str]) -> Iterator[frozenset[str]]:
    """Claim those of these networks that no other living process has; given back at the end.

    Each claim is a file in the network's own folder under `base`. A process of another host cannot be asked whether it
    lives: its claim stands until the folder is removed.
    """
    from filelock import FileLock

    base.mkdir(parents=True, exist_ok=True)
    with FileLock(base / ".lock"):
        mine = frozenset(identity for identity in identities if not _other(base / identity / FILE))
        for identity in mine:
            (base / identity).mkdir(exist_ok=True)
            (base / identity / FILE).write_text(this_process())
    try:
        yield mine
    finally:
        for identity in mine:
            (base / identity / FILE).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # where a checkpoint or an outcome is left
                (base / identity).rmdir()


def elsewhere(base: Path, identities: Iterable[str]) -> set[str]:
    """Those of these networks that another living process trains now."""
    return {identity for identity in identities if _other(base / identity / FILE)}


def _other(file: Path) -> bool:
    try:
        owner = file.read_text()
    except OSError:
        return False
    return owner != this_process() and not is_dead(owner)
