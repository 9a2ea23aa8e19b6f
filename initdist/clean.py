"""Show what sweeps have left behind, and remove it when told: `python -m initdist.clean --yes`.

Never touches a finished run, a network that is trained but not in the store yet, what a living process trains, or a
file that initdist has not made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from initdist import surroundings, tracking
from initdist.cli import arguments
from initdist.config.schema import DatasetConfig
from initdist.data.datasets import images
from initdist.errors import StorageError
from initdist.paths import sqlite_file, store_uri
from initdist.secrets import masked
from initdist.sweeps.hosts import alone
from initdist.sweeps.summary import counted
from initdist.sweeps.workspace import Workspace


@dataclass(frozen=True)
class Leftover:
    """Something to remove, why it can be, and its size in bytes."""

    path: Path
    why: str
    size: int


def main() -> None:
    """Console entry."""
    surroundings.settle()
    arguments.hide(arguments.option)
    parser = argparse.ArgumentParser(
        prog="python -m initdist.clean",
        description="Show what sweeps have left behind, and remove it when told. Never touches a finished run, a "
        "network that is trained but not in the store yet, what a living process trains, or a file that initdist "
        "has not made.",
    )
    parser.add_argument("--uri", default=masked(store_uri()), help="the tracking store (default: %(default)s)")
    parser.add_argument("--experiment", default="initdist", help="the experiment in it (default: %(default)s)")
    parser.add_argument("--checkpoints", default="checkpoints", help="checkpoint.dir of the sweeps (%(default)s)")
    parser.add_argument(
        "--cache",
        nargs="?",
        const=DatasetConfig.cache,
        metavar="FOLDER",
        help="also images decoded into this dataset.cache, which projects may share (%(const)s); one that is in use "
        "loses nothing: where they are needed they are decoded again",
    )
    parser.add_argument("--days", type=float, default=7, help="unused for so long counts as left behind (%(default)s)")
    parser.add_argument("--yes", action="store_true", help="remove; without it nothing is changed")
    chosen, unknown = parser.parse_known_args()
    if unknown:
        options = "; options are meant, as in --uri sqlite:///path/mlflow.db" if "=" in unknown[0] else ""
        parser.error(f"no such argument: {unknown[0]}{options}")
    path = sqlite_file(chosen.uri)
    if path is not None and not path.exists():
        parser.error(f"the tracking store must exist, got {masked(chosen.uri)}")
    for option, default in (("checkpoints", "checkpoints"), ("cache", DatasetConfig.cache)):
        folder = getattr(chosen, option)
        if folder not in (None, default) and not Path(folder).expanduser().is_dir():
            parser.error(f"--{option} must be a folder that exists, got {folder!r}")
    if not chosen.days >= 0:
        parser.error(f"--days must be at least 0, got {chosen.days}")
    try:
        with alone(chosen.uri):
            show(chosen)
    except (tracking.TrackingError, StorageError) as error:
        parser.error(str(error))


def show(chosen: argparse.Namespace) -> None:
    """Print what is left behind, and remove it if that is asked for."""
    store = tracking.prepare(chosen.uri, chosen.experiment, create=False)
    before = time.time() - 86_400 * chosen.days
    workspace = Workspace.of(chosen.checkpoints, store)
    gone = workspace.leases.gone()
    stale = tracking.asked(store, lambda: tracking.stale(store, gone))
    finished = tracking.asked(store, lambda: tracking.finished(store))
    networks = list(of_networks(workspace, finished, before))
    found = [*networks, *(of_images(Path(chosen.cache).expanduser(), before) if chosen.cache else ())]
    for run in stale:
        print(f"run {run.info.run_name} ({run.info.run_id}): RUNNING, but its process is gone")
    for one in found:
        print(f"{one.path} ({_megabytes(one.size)}): {one.why}")
    going = {one.path for one in found}
    if waiting := [folder for folder in workspace.unwritten() if folder not in going]:
        print(f"{counted(len(waiting), 'network')} trained but not in the store yet: the same command writes them")
    if not chosen.yes:
        leftovers = f"{counted(len(found), 'leftover')} ({_megabytes(sum(one.size for one in found))})"
        more = "; --yes does it" if stale or found else ""
        print(f"{counted(len(stale), 'run')} to be ended as KILLED, {leftovers} to be removed{more}")
        return
    tracking.asked(store, lambda: tracking.close_stale(store, gone))
    workspace.leases.clear({one.path.name for one in networks}, gone)  # unless a command has begun with one since
    for one in found[len(networks) :]:
        shutil.rmtree(one.path, ignore_errors=True)
    left = [_leftover(one.path, "in use again, or it cannot be removed") for one in found if one.path.exists()]
    for one in left:
        print(f"{one.path} ({_megabytes(one.size)}) stays: {one.why}")
    freed = sum(one.size for one in found) - sum(one.size for one in left)
    removed = f"{counted(len(found) - len(left), 'leftover')} ({_megabytes(freed)})"
    print(f"{counted(len(stale), 'run')} ended as KILLED, {removed} removed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def of_networks(workspace: Workspace, finished: Collection[str], before: float) -> Iterator[Leftover]:
    """Folders of networks that are in the store, and checkpoints that nobody went on from since `before`."""
    folders = {folder.name: folder for folder in workspace.folders()}
    unwritten = set(workspace.unwritten())
    for identity in sorted(folders.keys() - workspace.leases.elsewhere(folders).keys()):
        folder = folders[identity]
        if identity in finished:
            yield _leftover(folder, "its network is in the store")
        elif folder not in unwritten and _last_change(folder) < before:
            yield _leftover(folder, "a training that broke off, and nobody went on with it")


def of_images(cache: Path, before: float) -> Iterator[Leftover]:
    """Images decoded into this folder that no training has read since `before`."""
    for entry in images.caches(cache):
        if _last_change(entry) < before:
            yield _leftover(entry, "decoded images that no training has read since")


def _leftover(path: Path, why: str) -> Leftover:
    files = filter(None, map(_stat, path.rglob("*")))
    return Leftover(path, why, sum(found.st_size for found in files if stat.S_ISREG(found.st_mode)))


def _last_change(path: Path) -> float:
    return max((found.st_mtime for found in map(_stat, (path, *path.rglob("*"))) if found), default=0.0)


def _stat(path: Path) -> os.stat_result | None:
    """None for a file that has gone meanwhile."""
    try:
        return path.lstat()
    except OSError:
        return None


if __name__ == "__main__":
    main()
