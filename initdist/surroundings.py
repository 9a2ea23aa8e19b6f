"""What a command finds around it: its standard streams, its folders and Python's garbage collector."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import stat
import sys
import tempfile
from typing import Any

NAMES = ("stdin", "stdout", "stderr")
ALLOCATIONS = 100_000  # between two looks of the collector, instead of 700 or 2,000


def settle() -> None:
    """For the process of a command: streams as `settle_streams` has them, a garbage collector at rest, and an end in
    one line where there is no folder to work in."""
    settle_streams()
    _settle_collector()
    try:
        os.getcwd()
        tempfile.gettempdir()
    except FileNotFoundError as error:
        what = "there must be a folder for temporary files; set TMPDIR to one" if "temporary" in str(error) else ""
        sys.exit(f"initdist: {what or 'the current folder must exist, and it was removed; cd to another'}")


def settle_streams() -> None:
    """Let nothing that is printed end the process of a command, or one that it has started.

    Where `| head` has read enough, or the terminal is gone, what is printed is dropped and the command goes on, to its
    usual exit code. A letter that the terminal's encoding lacks becomes `?`. A stream that is closed leads nowhere: the
    next file to be opened would take its number, and what a library prints would go into that file.

    It replaces `sys.stdout` and `sys.stderr`, since Hydra, logging and rich print to them too. Streams that a caller
    has put there stay.
    """
    for number in range(len(NAMES)):
        if _is_closed(number):
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    for number, name in enumerate(NAMES):
        stream, first = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
        elif number and stream is first:
            setattr(sys, name, _settled(stream))


def _settle_collector() -> None:
    """Let Python's garbage collector look less often through what imports have made, and not at all at the end.

    Nothing of that is garbage. Looking for some takes a fifth of MLflow's imports, and up to a second after all else is
    done.
    """
    gc.set_threshold(ALLOCATIONS)
    atexit.register(_leave_as_it_is)  # what is registered later runs before


def _leave_as_it_is() -> None:
    if "torch" not in sys.modules:  # libraries that come with it count what is left, and print it as their mistake
        gc.freeze()


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _settled(stream: Any) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Heedless(stream.fileno())),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.encoding.lower().startswith("utf") else "replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Heedless(io.FileIO):
    """A descriptor that takes what nobody reads any more."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        terminal = stat.S_ISCHR(os.fstat(number).st_mode)  # also one that is gone already
        self.gone = {errno.EPIPE, errno.EIO} if terminal else {errno.EPIPE}  # of a file, EIO is a broken disk

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in self.gone:
                raise
            return memoryview(data).nbytes
