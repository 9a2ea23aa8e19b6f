"""Where the files of runs are, also after the folder of their store was moved or copied.

MLflow writes absolute places into the store. Those of ours are beside it, so what lies there under the same name counts
first: `RUN/artifacts` names one run wherever it is.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlparse

ARTIFACTS = "mlartifacts"  # beside a store that we have made
OTHERS = "mlruns"  # beside one that MLflow has, with a folder for each experiment


def own(file: Path) -> Path:
    """Where the files of the runs of a SQLite store go."""
    return file.resolve().parent / ARTIFACTS


def folder(artifact_uri: str, store: Path | None) -> Path | None:
    """Where the files of a run are, if that is on this machine: beside the SQLite store, else where it says."""
    said = _local(artifact_uri)
    if said is None or store is None:
        return said
    home, parts = store.resolve().parent, said.parts
    beside = (home.joinpath(*parts[first:]) for first in range(len(parts) - 3, 0, -1))
    return next((place for place in beside if place.is_dir()), said)


def lost(folder: Path) -> bool:
    """Whether not even the folder is there that the files of all runs should be in: it was moved, or is away."""
    return not folder.parents[1].is_dir()


def move_in(file: Path) -> str:
    """Let the experiments and runs of a SQLite store that was moved or copied name the places where their files now
    are and go. What was changed, as a sentence; empty if nothing was."""
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as database, database:
        changed, before = 0, set()
        rows = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        for experiment, location in rows:
            old = _local(location or "")
            new = None if old is None else _beside(old, file)
            if old is None or new is None or old.resolve() == new:
                continue
            ids = "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?"
            runs = {run: place for run, uri in database.execute(ids, [experiment]) if (place := _local(uri or ""))}
            here = {run: new / place.relative_to(old) for run, place in runs.items() if place.is_relative_to(old)}
            is_here = any(place.is_dir() for place in here.values())
            if not is_here and (new.name != ARTIFACTS or (old.is_dir() and not (old.parent / file.name).is_file())):
                continue  # somebody chose it
            follow = {run: place for run, place in here.items() if place.is_dir() or _gone(runs[run], new)}
            update = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
            database.execute(update, [_as_before(location, new), experiment])
            update = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
            database.executemany(update, [(_as_before(location, place), run) for run, place in follow.items()])
            changed += len(follow)
            before.add(str(old))
    if not before:
        return ""
    return (
        f"{file} was moved or copied: files of its runs go to {ARTIFACTS}/ beside it, and no more to "
        f"{', '.join(sorted(before))}; those of {changed} run{'' if changed == 1 else 's'} are looked for there"
    )


def _beside(location: Path, file: Path) -> Path | None:
    """The place beside a store that a location of the same kind was beside it before; None for one of another kind."""
    home = file.resolve().parent
    if location.name == ARTIFACTS:
        return home / ARTIFACTS
    return home / OTHERS / location.name if location.parent.name == OTHERS else None


def _gone(before: Path, now: Path) -> bool:
    """Whether a run that has no files beside the store has none in the place of before either."""
    return now.is_dir() and not before.is_dir()


def _as_before(uri: str, place: Path) -> str:
    return place.as_uri() if uri.startswith("file:") else str(place)


def _local(uri: str) -> Path | None:
    """The absolute path that a place on this machine is."""
    where = urlparse(uri)
    path = Path(unquote(where.path)) if where.scheme in ("", "file") else Path()
    return path if path.is_absolute() else None
