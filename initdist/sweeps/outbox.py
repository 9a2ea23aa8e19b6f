"""Networks that have been trained but are not in the tracking store yet: their outcomes, on disk.

One folder a network, named by its identity, in `checkpoint.dir`. What a crash or a store that is away leaves there, the
next command for the same network writes to the store, without training it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

from initdist.files import read_checked, write_checked
from initdist.sweeps import leases
from initdist.tracking import Outcome

FILE = "outcome.json"


def keep(folder: Path, outcome: Outcome) -> None:
    """Write an outcome; its files are in the folder already. It is there whole or not at all."""
    files = {file.name: _hash(file) for file in outcome.files}
    plain = {
        "metrics": dict(outcome.metrics),
        "history": [[step, dict(values)] for step, values in outcome.history],
        "step": outcome.step,
        "tags": dict(outcome.tags),
        "files": files,
    }
    write_checked(folder / FILE, plain)


def find(folder: Path) -> Outcome | None:
    """The outcome in a folder; None where there is none. One that is damaged is named, and left unused."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        plain = read_checked(file)
        for name, expected in plain["files"].items():
            if name != Path(name).name:
                raise ValueError(f"{name!r} is not the name of a file beside it")
            if _hash(folder / name) != expected:
                raise ValueError(f"{name} is not the file that was written")
        history = [(step, values) for step, values in plain["history"]]
        return Outcome(**{**plain, "history": history, "files": [folder / name for name in plain["files"]]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"initdist: {file} cannot be used: {error}. The network is trained again", file=sys.stderr, flush=True)
        return None


def forget(folder: Path) -> None:
    """Remove all that is kept of a network, since it is in the store or is to be trained anew; its lease stays."""
    with contextlib.suppress(FileNotFoundError):  # another, which took its lease over, was quicker
        for file in folder.iterdir():
            if file.name != leases.FILE:
                file.unlink(missing_ok=True)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
