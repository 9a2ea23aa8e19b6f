"""Training processes and the stacks they are given. The process that owns the pool never imports torch.

On the CPU there is one single-threaded process a core; on CUDA, one a device. Processes outlive a job: their start is
paid once.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from initdist import cores, surroundings
from initdist.config.schema import Config, NumericsConfig
from initdist.errors import DeviceError, UserError
from initdist.events import Done, Event, Failed, Measured, MeasureTask, Refused, Result, Task, ToTrain
from initdist.workers import partition

_COMPILERS = ("g++", "clang++", "c++")
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
        # The second is what PyTorch's first derivative imports: once here, and not in every process that trains.
        multiprocessing.get_context(_METHOD).set_forkserver_preload(["initdist.workers.worker", "torch._dynamo"])
        resource_tracker.ensure_running()
        with _without_ctrl_c(), _short_folder():
            forkserver.ensure_running()


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started here never sees Ctrl-C, not even while it still imports; this one sees it after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    device: str
    busy: bool = False
    left: set[str] = field(default_factory=set)  # networks of its stack that have not ended


class Pool:
    """Training processes on the devices a config asks for."""

    def __init__(self, device: str = "auto", workers: int = 0) -> None:
        warm()
        self._workers: list[_Worker] = []
        self.devices = self._resolve(device, workers)

    def train(self, networks: Sequence[ToTrain], fingerprint: str = "") -> Iterator[Event]:
        """Train networks whose configs differ only in stackable axes.

        A network whose checkpoint is there goes on from it. With the fingerprint of the data that they were planned
        with, other data fails them.

        An exception, or the death of a process, fails the networks of its stack alone.
        """
        if not networks:
            return
        parts = self.parts([network.config for network in networks])
        queue = [Task(tuple(networks[i] for i in part), fingerprint) for part in parts]
        yield from self.work(queue, len(queue))

    def parts(self, configs: Sequence[Config]) -> list[tuple[int, ...]]:
        """The positions of networks of one shape, stack by stack. Raises DeviceError for what cannot be computed
        here."""
        self._refuse_impossible(configs[0].numerics)
        self._drop_dead()
        if not self._workers:
            self._start(self.devices[0])
        return partition.stacks(configs, self._ask(self._workers[0], "capacity", configs[0]), self.devices)

    def work(self, tasks: Iterable[Task | MeasureTask], most: int) -> Iterator[Event]:
        """Have stacks trained or measured, at most so many; each is taken when a process is free for it."""
        self._drop_dead()
        queue = iter(tasks)
        try:
            for device in self._unused()[: max(0, most - len(self._workers))]:
                self._start(device)
            for worker in self._workers[:most]:
                self._give(worker, queue)
            while any(worker.busy for worker in self._workers):
                for worker in self._ready():
                    yield from self._receive(worker, queue)
        except BaseException:  # an abandoned stack must not talk into the next job
            self.close()
            raise

    def close(self) -> None:
        """End the processes, also in the middle of a stack."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()  # all that it writes is whole or not there
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _resolve(self, device: str, workers: int) -> list[str]:
        """One device name a process."""
        if device == "cpu":
            return ["cpu"] * (workers or cores.usable())
        self._start("cpu")
        count = self._ask(self._workers[0], "cuda devices")
        if device == "auto" and count == 0:
            return ["cpu"] * (workers or cores.usable())
        self.close()
        wanted = [f"cuda:{i}" for i in range(count)] if device in ("auto", "cuda") else [device]
        if not wanted or int(wanted[-1].removeprefix("cuda:")) >= count:
            raise DeviceError(f"device must be there, got {device}: {count} CUDA devices found; use device=cpu")
        return self._usable(wanted)

    def _usable(self, devices: Sequence[str]) -> list[str]:
        """Those of these GPUs that a process can work on. Raises DeviceError if there is none."""
        refused = {}
        for worker in [self._start(device) for device in devices]:
            try:
                self._ask(worker, "usable")
            except DeviceError as error:
                refused[worker.device] = str(error)
                worker.process.kill()
                worker.process.join()
        self._drop_dead()
        if len(refused) == len(devices):
            raise DeviceError(f"{next(iter(refused.values()))}; device=cpu trains without a GPU")
        for why in refused.values():
            print(f"initdist: {why}. The other GPUs are used", file=sys.stderr, flush=True)
        return [device for device in devices if device not in refused]

    def _refuse_impossible(self, numerics: NumericsConfig) -> None:
        """Raises DeviceError for arithmetic that this machine cannot do."""
        if numerics.precision == "tf32" and self.devices[0] == "cpu":
            raise DeviceError("numerics.precision must be float32 or bfloat16 on a CPU, got tf32, which only CUDA has")
        if numerics.compile and not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS)):
            raise DeviceError(
                f"numerics.compile must be false where there is no C++ compiler, got true: install one of "
                f"{', '.join(_COMPILERS)}, or set CXX"
            )

    def _drop_dead(self) -> None:
        """Forget processes that died since the last job, so that they are started anew."""
        for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
            worker.connection.close()
            self._workers.remove(worker)

    def _unused(self) -> list[str]:
        """The devices that have no process yet."""
        unused = list(self.devices)
        for worker in self._workers:
            unused.remove(worker.device)
        return unused

    def _start(self, device: str) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        context: Any = multiprocessing.get_context(_METHOD)
        process = context.Process(target=_serve, args=(theirs, device), daemon=True)
        with _independent_start():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, device))
        return self._workers[-1]

    def _ask(self, worker: _Worker, question: str, config: Config | None = None) -> int:
        try:
            worker.connection.send((question, config))
            answer: int | str | UserError = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            raise RuntimeError(f"a training process could not start: {_cause(worker.process)}") from None
        if isinstance(answer, UserError):
            raise answer
        if isinstance(answer, str):
            raise RuntimeError(f"a training process could not tell its {question}: {answer}")
        return answer

    def _give(self, worker: _Worker, queue: Iterator[Task | MeasureTask]) -> None:
        task = next(queue, None)
        worker.busy = task is not None
        if task is not None:
            worker.left = {network.identity for network in task.networks}
            with contextlib.suppress(OSError):  # it is gone: the next look at its connection finds that
                worker.connection.send(task)

    def _ready(self) -> list[_Worker]:
        busy = [worker for worker in self._workers if worker.busy]
        ready = wait([worker.connection for worker in busy])
        return [worker for worker in busy if worker.connection in ready]

    def _receive(self, worker: _Worker, queue: Iterator[Task | MeasureTask]) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it was killed in the middle of a message
            yield self._bury(worker)
            if (task := next(queue, None)) is not None:
                self._give(self._start(worker.device), iter([task]))
            return
        if isinstance(message, Done):
            self._give(worker, queue)
            return
        if isinstance(message, (Result, Measured, Refused)):
            worker.left.discard(message.network)
        elif isinstance(message, Failed):
            worker.left.difference_update(message.networks)
        yield message

    def _bury(self, worker: _Worker) -> Failed:
        worker.process.join()
        self._workers.remove(worker)
        return Failed(tuple(sorted(worker.left)), f"the training process ended by {_cause(worker.process)}")


def _cause(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


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


_shared: dict[tuple[str, int], Pool] = {}


def shared(device: str, workers: int) -> Pool:
    """The process-wide pool for these settings; ended at exit."""
    key = (device, workers)
    if key not in _shared:
        for other in _shared.values():
            other.close()
        _shared.clear()
        _shared[key] = Pool(device, workers)
    return _shared[key]


@atexit.register
def _close_shared() -> None:
    for pool in _shared.values():
        pool.close()
