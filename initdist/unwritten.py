"""Networks that have been trained but are not in the tracking store yet: their outcomes, on disk.

One folder a network, named by its identity, in `checkpoint.dir`. What a crash or a store that is away leaves there, the
next command for the same network writes to the store, without training it again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from initdist import claims
from initdist.files import replaced
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
    text = json.dumps(plain)
    with replaced(folder / FILE) as beside:
        beside.write_text(json.dumps({"outcome": text, "checksum": hashlib.sha256(text.encode()).hexdigest()}))


def find(folder: Path) -> Outcome | None:
    """The outcome in a folder; None where there is none. One that is damaged is named, and left unused."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        whole = json.loads(file.read_text())
        if hashlib.sha256(whole["outcome"].encode()).hexdigest() != whole["checksum"]:
            raise ValueError("its checksum is not that of its contents")
        plain = json.loads(whole["outcome"])
        for name, expected in plain["files"].items():
            if name != Path(name).name:
                raise ValueError(f"{name!r} is not the name of a file beside it")
            if _hash(folder / name) != expected:
                raise ValueError(f"{name} is not the file that was written")
        history = [(step, values) for step, values in plain["history"]]
        return Outcome(**{**plain, "history": history, "files": [folder / name for name in plain["files"]]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        print(f"initdist: {file} cannot be used: {error}. The network is trained again", file=sys.stderr, flush=True)
        return None


def forget(folder: Path) -> None:
    """Remove all that is kept of a network, since it is in the store or is to be trained anew; its claim stays."""
    for file in folder.iterdir():
        if file.name != claims.FILE:
            file.unlink(missing_ok=True)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
