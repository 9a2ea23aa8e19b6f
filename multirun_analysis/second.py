"""A second process for what can be done beside the first, where there is a core for it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from initdist import cores

T = TypeVar("T")

DRAWING = "multirun_analysis.report.rendering"  # imported while the first process reads and computes


class Second:
    """Functions and arguments must be picklable."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._processes: set[Any] = set()

    def start(self) -> None:
        """Once, and without waiting for it."""
        if self._pool is None and cores.usable() > 1:
            others = set(multiprocessing.active_children())
            spawned = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, spawned, initializer=_leave_signals)
            # It begins with Ctrl-C held back, and leaves it to this process before it could tell of it.
            held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            self.submit(_imported, DRAWING)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            self._processes = set(multiprocessing.active_children()) - others

    def submit(self, function: Callable[..., T], *given: Any) -> Future[T] | None:
        """Its future result; None where there is no second process, as it was not started or was killed."""
        if self._pool is not None:
            with suppress(BrokenProcessPool):
                return self._pool.submit(function, *given)
        return None

    def call(self, function: Callable[..., T], *given: Any) -> T:
        """The function's result, from the second process or else from this one."""
        return result(self.submit(function, *given), function, *given)

    def close(self) -> None:
        """End it, whatever it is at: a mistake is told at once."""
        for process in self._processes:
            process.terminate()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _imported(name: str) -> None:
    """A module itself could not be sent back."""
    import_module(name)


def _leave_signals() -> None:
    """Ctrl-C is for the first process, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def result(future: Future[T] | None, function: Callable[..., T], *given: Any) -> T:
    """Of what was submitted; computed here if there is no second process, or it was killed."""
    if future is not None:
        with suppress(BrokenProcessPool):
            return future.result()
    return function(*given)
