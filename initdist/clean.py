"""Show what sweeps have left behind, and remove it when told: `python -m initdist.clean --yes`.

Never touches a finished run, a network that is trained but not in the store yet, or what a living process uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from initdist import claims, records, tracking, unwritten
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
        return sum(file.stat().st_size for file in files if file.is_file())


def main() -> None:
    """Console entry."""
    parser = argparse.ArgumentParser(prog="initdist.clean", description=__doc__.partition("\n")[0] if __doc__ else "")
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
    try:
        store = tracking.prepare(chosen.uri, chosen.experiment)
    except tracking.TrackingError as error:
        parser.error(str(error))
    stale = tracking.stale(store)
    before = time.time() - 86_400 * chosen.days
    base = records.folder(chosen.checkpoints, store)
    found = [*of_networks(base, store, before), *of_images(Path(chosen.cache).expanduser(), before)]
    for run in stale:
        print(f"run {run.info.run_name} ({run.info.run_id}): RUNNING, but its process is gone")
    for one in found:
        print(f"{one.path} ({one.size / 1e6:,.1f} MB): {one.why}")
    if waiting := len(list(base.glob(f"*/{unwritten.FILE}"))) - sum(one.why == _IN_STORE for one in found):
        print(f"{waiting} networks are trained but not in the store yet: the command that trained them writes them")
    if chosen.yes:
        tracking.close_stale(store)
        for one in found:
            shutil.rmtree(one.path) if one.path.is_dir() else one.path.unlink()
    done = "ended as KILLED", "removed"
    if not chosen.yes:
        done = "to be ended as KILLED", "to be removed; --yes does it" if stale or found else "to be removed"
    print(f"{len(stale)} runs {done[0]}, {len(found)} leftovers ({sum(o.size for o in found) / 1e6:,.1f} MB) {done[1]}")


_IN_STORE = "its network is in the store"


def of_networks(base: Path, store: tracking.Store, before: float) -> Iterator[Leftover]:
    """Folders of networks that are in the store, and checkpoints that nobody went on from since `before`."""
    finished = tracking.finished(store)
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
    return max((one.stat().st_mtime for one in (path, *path.rglob("*"))), default=0.0)


if __name__ == "__main__":
    main()
