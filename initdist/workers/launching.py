"""How training processes are started. The process that starts them never imports torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from initdist import surroundings
from initdist.events import ENDING

LONGEST_FOLDER = 107 - len("/pymp-12345678/listener-12345678")  # bytes
_METHOD = "forkserver" if sys.platform == "linux" else "spawn"

# What the training processes find in their environment, unless it is set already.
ENVIRONMENT = {
    # Keep freed memory (glibc): gradients come and go at every step, and fresh pages cost more than the arithmetic.
    "MALLOC_MMAP_THRESHOLD_": str(2**36),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    # Large pages for large tensors, where the kernel has them: a batch is gathered from hundreds of megabytes.
    "THP_MEM_ALLOC_ENABLE": "1",
}


def warm() -> None:
    """Let the imports of the training processes begin, while the caller goes on composing and preparing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if _METHOD == "forkserver":
        multiprocessing.get_context(_METHOD).set_forkserver_preload(["initdist.workers.preloaded"])
        with _deaf():
            resource_tracker.ensure_running()  # unblocks Ctrl-C and SIGTERM, which its process ignores by itself
        with _deaf(), _short_folder():
            forkserver.ensure_running()


def launch(device: str) -> tuple[BaseProcess, Connection]:
    """A new training process for a device, and the connection to it."""
    ours, theirs = multiprocessing.Pipe()
    context: Any = multiprocessing.get_context(_METHOD)
    process = context.Process(target=_serve, args=(theirs, device), daemon=True)
    with _independent_start():
        process.start()
    theirs.close()
    return process, ours


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A process that is started here is asked to end by this one alone, also while it still imports. A terminal and
    SLURM send their signals to all processes at once; this one sees them after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _short_folder() -> Iterator[None]:
    """Where TMPDIR is too long for the path of a socket, multiprocessing keeps its own in /tmp."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


def _serve(connection: Connection, device: str) -> None:
    from initdist.workers.worker import serve

    surroundings.settle_streams()
    serve(connection, device)


@contextlib.contextmanager
def _independent_start() -> Iterator[None]:
    """Keep a child from importing the caller's main module and from taking over the caller's start method.

    It has no need of the first, so that scripts need no `__main__` guard; and it may not know the second, as where a
    joblib launcher runs the job.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    method = multiprocessing.get_start_method(allow_none=True)
    main.__spec__ = None
    if "__file__" in kept:
        del main.__file__
    multiprocessing.set_start_method(_METHOD, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(method, force=True)
        for name, value in kept.items():
            setattr(main, name, value)
