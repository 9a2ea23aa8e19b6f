"""What Ctrl-C, SIGTERM and a closed terminal do to a command: it unwinds, so that its runs end as KILLED."""

from __future__ import annotations

import contextlib
import os
import signal

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed() -> None:
    """Let the first of these signals unwind the process, and Ctrl-C after it end the process at once.

    One that is ignored (`nohup`, a job in a shell's background) stays so. Only the main thread can; elsewhere nothing
    changes.
    """
    with contextlib.suppress(ValueError):
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _unwind)


def _unwind(number: int, frame: object) -> None:
    for other in _ENDING:
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, _leave if other == signal.SIGINT else signal.SIG_IGN)
    if number == signal.SIGINT:
        _say("ending; what has finished stays, what runs ends as KILLED. Ctrl-C again leaves at once")
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _leave(number: int, frame: object) -> None:
    """The training processes notice that this one is gone, and end."""
    _say("left at once. Nothing that had ended is lost: the same command goes on from it")
    os._exit(128 + number)


def _say(text: str) -> None:
    os.write(2, f"\ninitdist: {text}\n".encode())  # print could have been interrupted in the middle of itself
