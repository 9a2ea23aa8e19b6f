"""One host at a time writes to a SQLite store on a network file system, whose locks may not reach another host."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from initdist import tracking
from initdist.paths import sqlite_file
from initdist.sweeps.leases import Leases


@contextlib.contextmanager
def alone(uri: str) -> Iterator[None]:
    """Raises TrackingError where another host uses a store on such a file system now; others are not looked at.

    Even to open it there can destroy it, since SQLite takes what another host is writing for what a crash has left.
    """
    if (leases := _leases(uri)) is None:
        yield
        return
    with leases.held([f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"]):
        check(uri)
        yield


def check(uri: str) -> None:
    """Raises TrackingError where another host uses a store now, and the two would not see each other's locks."""
    leases = _leases(uri)
    if leases is not None and (others := leases.of_other_machines()):
        raise tracking.TrackingError(
            f"tracking.uri must be used by one host at a time where it is on a network file system "
            f"({tracking.network(leases.base.parent)}), got {uri}, which is used by {others[0]}; {tracking.SERVER}"
        )


def check_launcher(uri: str, launcher: str) -> None:
    """Raises TrackingError for jobs on several hosts that would write to one SQLite store."""
    if "Slurm" in launcher and (leases := _leases(uri)) is not None:
        raise tracking.TrackingError(
            f"tracking.uri must be a server where jobs run on several hosts, got {uri} on a network file system "
            f"({tracking.network(leases.base.parent)}); {tracking.SERVER}"
        )


def _leases(uri: str) -> Leases | None:
    """Those of the processes that use a SQLite store on a network file system; None for any other store."""
    file = sqlite_file(uri)
    if file is None or not file.parent.is_dir() or not tracking.network(file.parent):
        return None
    return Leases(Path(f"{file}.hosts"))
