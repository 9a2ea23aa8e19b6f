"""What Ctrl-C, SIGTERM, a closed terminal and SLURM's warnings do to a command: it unwinds, so that what trains is
written down and its runs end as KILLED."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from initdist.cli import slurm
from initdist.events import ENDING

_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
_came: set[int] = set()  # of all that this process heeds


def heed() -> None:
    """Let the first of these signals unwind the process, and Ctrl-C after it end the process at once.

    One that is ignored (`nohup`, a job in a shell's background) stays so. Only the main thread can; elsewhere nothing
    changes.
    """
    with contextlib.suppress(ValueError):
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _unwind)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Heed the signals inside. In the end, when all is written down, a job that SLURM preempts is queued again. So is
    one of submitit's that was warned: what a launcher does at a warning is done then. Within another, nothing changes.
    """
    if signal.getsignal(signal.SIGTERM) is _unwind:
        yield
        return
    now = {number: signal.getsignal(number) for number in _WARNINGS}
    theirs = {number: handler for number, handler in now.items() if callable(handler) and handler is not _unwind}
    _came.clear()
    heed()
    try:
        yield
    finally:
        for number, handler in theirs.items():
            with contextlib.suppress(ValueError):
                signal.signal(number, handler)
        if signal.SIGTERM in _came and slurm.preempts():
            slurm.requeue()
        for number, handler in theirs.items():
            if number in _came:
                handler(number, None)


def _unwind(number: int, frame: object) -> None:
    _note(number, frame)
    for other in ENDING:
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, _leave if other == signal.SIGINT else _note)
    if number == signal.SIGINT:
        _say("ending; what trains is written down, what has finished stays. Ctrl-C again leaves at once")
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _note(number: int, frame: object) -> None:
    _came.add(number)


def _leave(number: int, frame: object) -> None:
    """The training processes notice that this one is gone, and end."""
    _say("left at once. Nothing that had ended is lost: the same command goes on from it")
    os._exit(128 + number)


def _say(text: str) -> None:
    os.write(2, f"\ninitdist: {text}\n".encode())  # print could have been interrupted in the middle of itself
