"""Trying again what may go well later: a store that is away, a disk that is full."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from initdist.errors import StorageError
from initdist.secrets import masked

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds between attempts
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})  # the disk, not the caller


def patiently(
    call: Callable[[], T],
    seconds: float,
    place: object,
    may_pass: Callable[[Exception], bool],
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """What `call` returns, tried again for so many seconds while what it raises may pass; then that is raised."""
    deadline, delay = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            return call()
        except Exception as error:
            left = deadline - time.monotonic()
            if left <= 0 or not may_pass(error):
                raise
            if delay == FIRST_PAUSE:
                text = " ".join(masked(error, str(place)).split())[:200]
                print(
                    f"initdist: {masked(place)} cannot be written to, trying again for {left:.0f} s: {text}",
                    file=sys.stderr,
                    flush=True,
                )
            pause(min(delay, left))
            delay = min(2 * delay, LONGEST_PAUSE)


def stored(call: Callable[[], T], seconds: float, place: object) -> T:
    """As `patiently`, while the disk is full. Raises StorageError if it stays so."""
    try:
        return patiently(call, seconds, place, is_full)
    except OSError as error:
        if is_full(error):
            raise StorageError.of(place, error) from error
        raise


@contextlib.contextmanager
def full_disk_named() -> Iterator[None]:
    """Raises StorageError, which names the file, for what a full disk raises anywhere."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageError.of(error.filename or "a file", error) from error


def is_full(error: Exception) -> bool:
    """Whether a disk takes no more: full, over a quota or a limit, or gone read-only."""
    return isinstance(error, OSError) and error.errno in FULL
