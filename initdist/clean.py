"""Show what sweeps have left behind, and remove it when told: `python -m initdist.clean --yes`.

Never touches a finished run, a network that is trained but not in the store yet, or what a living process uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from initdist import claims, records, tracking, unwritten
from initdist.errors import StorageError
from initdist.paths import default_tracking_uri
from initdist.schema import DatasetConfig
from initdist.tracking.store import sqlite_path


@dataclass(frozen=True)
class Leftover:
    """Something to remove, and why it can be."""

    path: Path
    why: str

    @property
    def size(self) -> int:
        files = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(found.st_size for found in map(_stat, files) if found and stat.S_ISREG(found.st_mode))


def main() -> None:
    """Console entry."""
    parser = argparse.ArgumentParser(
        prog="python -m initdist.clean",
        description="Show what sweeps have left behind, and remove it when told. Never touches a finished run, a "
        "network that is trained but not in the store yet, or what a living process uses.",
    )
    uri = os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(".")
    parser.add_argument("--uri", default=uri, help="the tracking store (default: %(default)s)")
    parser.add_argument("--experiment", default="initdist", help="the experiment in it (default: %(default)s)")
    parser.add_argument("--checkpoints", default="checkpoints", help="checkpoint.dir of the sweeps (%(default)s)")
    parser.add_argument("--cache", default=DatasetConfig.cache, help="dataset.cache of the sweeps (%(default)s)")
    parser.add_argument("--days", type=float, default=7, help="older than this counts as left behind (%(default)s)")
    parser.add_argument("--yes", action="store_true", help="remove; without it nothing is changed")
    chosen = parser.parse_args()
    path = sqlite_path(chosen.uri)
    if path is not None and not path.exists():
        parser.error(f"the tracking store must exist, got {chosen.uri}")
    if not chosen.days >= 0:
        parser.error(f"--days must be at least 0, got {chosen.days}")
    try:
        show(chosen)
    except (tracking.TrackingError, StorageError) as error:
        parser.error(str(error))


def show(chosen: argparse.Namespace) -> None:
    """Print what is left behind, and remove it if that is asked for."""
    store = tracking.prepare(chosen.uri, chosen.experiment, create=False)
    stale = tracking.asked(store, lambda: tracking.stale(store))
    before = time.time() - 86_400 * chosen.days
    base = records.folder(chosen.checkpoints, store)
    finished = tracking.asked(store, lambda: tracking.finished(store))
    networks = list(of_networks(base, finished, before))
    images = list(of_images(Path(chosen.cache).expanduser(), before))
    found = [*networks, *images]
    for run in stale:
        print(f"run {run.info.run_name} ({run.info.run_id}): RUNNING, but its process is gone")
    for one in found:
        print(f"{one.path} ({one.size / 1e6:,.1f} MB): {one.why}")
    going = {one.path for one in found}
    if waiting := [file for file in base.glob(f"*/{unwritten.FILE}") if file.parent not in going]:
        print(f"{_count(waiting, 'network')} trained but not in the store yet: the same command writes them")
    if chosen.yes:
        tracking.asked(store, lambda: tracking.close_stale(store))
        claims.clear(base, {one.path.name for one in networks})  # unless a command has begun with one since
        for one in images:
            shutil.rmtree(one.path, ignore_errors=True) if one.path.is_dir() else one.path.unlink(missing_ok=True)
    done = "ended as KILLED", "removed"
    if not chosen.yes:
        done = "to be ended as KILLED", "to be removed; --yes does it" if stale or found else "to be removed"
    size = sum(one.size for one in found) / 1e6
    print(f"{_count(stale, 'run')} {done[0]}, {_count(found, 'leftover')} ({size:,.1f} MB) {done[1]}")


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


_IN_STORE = "its network is in the store"


def of_networks(base: Path, finished: Collection[str], before: float) -> Iterator[Leftover]:
    """Folders of networks that are in the store, and checkpoints that nobody went on from since `before`."""
    for folder in sorted(base.glob("*/")):
        if claims.elsewhere(base, [folder.name]):
            continue
        if folder.name in finished:
            yield Leftover(folder, _IN_STORE)
        elif not (folder / unwritten.FILE).exists() and _last_change(folder) < before:
            yield Leftover(folder, "a training that broke off, and nobody went on with it")


def of_images(cache: Path, before: float) -> Iterator[Leftover]:
    """Image trees that were decoded before `before`."""
    for entry in sorted(cache.glob("*")):
        if _last_change(entry) < before:
            yield Leftover(entry, "images decoded long ago; where they are needed they are decoded again")


def _last_change(path: Path) -> float:
    return max((found.st_mtime for found in map(_stat, (path, *path.rglob("*"))) if found), default=0.0)


def _stat(path: Path) -> os.stat_result | None:
    """None for a file that has gone meanwhile."""
    try:
        return path.stat()
    except OSError:
        return None


if __name__ == "__main__":
    main()
