"""Training processes and the stacks they are given. The process that owns the pool never imports torch.

On the CPU there is one single-threaded process a core; on CUDA, one a device. Processes outlive a job: their start is
paid once. Where one has nothing left to do, it takes over a part of another's stack. Where jobs run side by side they
share the cores: a process then has a core's lock, and ends when nothing is left for it to do.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from filelock import FileLock

from initdist import cores
from initdist.config.schema import Config, NumericsConfig
from initdist.errors import DeviceError, UserError
from initdist.events import Done, Event, Failed, Leave, Measured, MeasureTask, Progress, Refused, Result, Task, ToTrain
from initdist.workers import launching, partition
from initdist.workers.shared_cores import LOOK, SharedCores

_COMPILERS = ("g++", "clang++", "c++")
# A stack is divided so many seconds after its first epoch at the earliest: to divide it costs some tenths of one.
SETTLED = 1.0


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    device: str
    core: FileLock | None = None  # its own, where cores are shared
    task: Task | MeasureTask | None = None
    left: set[str] = field(default_factory=set)  # networks of its task that have not ended
    since: float = math.inf  # when the first epoch of that ended
    dividing: bool = False  # whether it was asked for what is left of its stack

    @property
    def busy(self) -> bool:
        return self.task is not None

    @property
    def kept(self) -> Config | None:
        """The config of its stack's first network, where such networks are written down while they train."""
        if not isinstance(self.task, Task) or not self.task.networks[0].checkpoint:
            return None
        return self.task.networks[0].config

    @property
    def grace(self) -> float:
        """Seconds that may pass until they are, where the command is to end."""
        return self.kept.checkpoint.grace if self.kept else 0.0

    @property
    def divisible(self) -> bool:
        """Whether what is left of its stack may be divided, and is worth it. Steps that are compiled, or rounded more
        coarsely, are not promised to be the same in every stack."""
        if self.kept is None or self.device != "cpu" or len(self.left) < 2:
            return False
        plain = self.kept.numerics.precision == "float32" and not self.kept.numerics.compile
        return plain and time.monotonic() - self.since >= SETTLED


class Pool:
    """Training processes on the devices a config asks for.

    `among` names those with whom the cores are shared: as many processes as there are cores for all of them together. A
    number of `workers` is kept as it is.
    """

    def __init__(self, device: str = "auto", workers: int = 0, among: str = "") -> None:
        self._workers: list[_Worker] = []
        self._cores = SharedCores(among) if among and not workers else None
        self._looked = -LOOK  # when, for a core that others have given back
        if self._cores is None:
            launching.warm()
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
        try:
            self._refuse_impossible(configs[0].numerics)
            self._drop_dead()
            if not self._workers:
                self._start(self.devices[0])
            return partition.stacks(configs, self._ask(self._workers[0], "capacity", configs[0]), self.devices)
        except BaseException:
            if self._shares:  # the core is for others
                self.close()
            raise

    def work(self, tasks: Iterable[Task | MeasureTask], most: int) -> Iterator[Event]:
        """Have stacks trained or measured, at most so many; each is taken when a process is free for it."""
        self._drop_dead()
        queue = iter(tasks)
        try:
            if not self._shares:
                for device in self._unused()[: max(0, most - len(self._workers))]:
                    self._start(device)
            elif not self._workers:
                self._start("cpu")
            for worker in self._workers[:most]:
                self._give(worker, queue)
            while any(worker.busy for worker in self._workers):
                self._spread(queue)
                self._even_out()
                for worker in self._ready(LOOK if self._shares and self._unused() else None):
                    yield from self._receive(worker, queue)
        except GeneratorExit:
            deque(self._leave(), maxlen=0)
            raise
        except BaseException:  # Ctrl-C and the like: what ends in the running epoch is still told
            yield from self._leave()
            raise

    def close(self) -> None:
        """End the processes, also in the middle of a stack."""
        self._end(self._workers)

    def _end(self, workers: Sequence[_Worker]) -> None:
        for worker in workers:
            worker.connection.close()
            worker.process.kill()  # all that it writes is whole or not there
        for worker in workers:
            worker.process.join()
            if worker.core:
                worker.core.release()
        self._workers = [worker for worker in self._workers if worker not in workers]
        if self._cores and workers and not self._workers:
            self._cores.forget()

    def _leave(self) -> Iterator[Event]:
        """End the processes: an abandoned stack must not talk into the next job. Those whose networks are written down
        do that first, at the end of the running epoch, if it comes soon enough."""
        try:
            began, leaving = time.monotonic(), [worker for worker in self._workers if worker.grace]
            for worker in leaving:
                worker.dividing = False
                with contextlib.suppress(OSError):  # it is gone
                    worker.connection.send(Leave())
            while waiting := [worker for worker in leaving if worker in self._workers and worker.busy]:
                left = began + max(worker.grace for worker in waiting) - time.monotonic()
                if not (ready := self._ready(max(0.0, left))):
                    return
                for worker in ready:
                    yield from self._receive(worker, iter(()))
        finally:
            self.close()

    @property
    def _shares(self) -> bool:
        """Whether its processes take turns on the cores with those of other jobs."""
        return self._cores is not None and self.devices[0] == "cpu"

    def _spread(self, queue: Iterator[Task | MeasureTask]) -> None:
        """Where cores are shared: use those that others have given back, as long as something is left to do."""
        if self._cores is None or not self._shares or time.monotonic() < self._looked + LOOK:
            return
        while self._unused() and (core := self._cores.free()):
            if (task := next(queue, None)) is None:
                core.release()
                break
            self._give(self._start("cpu", core), iter([task]))
        self._looked = time.monotonic()

    def _even_out(self) -> None:
        """Where a process has nothing left to do: have the largest of the others' stacks written down at the end of its
        epoch, to go on in parts. A network's bits do not depend on its stack."""
        able = [worker for worker in self._workers if worker.divisible]
        one_is_asked = any(worker.dividing for worker in self._workers)
        if not able or one_is_asked or self._shares or not (self._idle() or self._unused()):
            return
        largest = max(able, key=lambda worker: len(worker.left))
        largest.dividing = True
        with contextlib.suppress(OSError):  # it is gone: the next look at its connection finds that
            largest.connection.send(Leave(to_divide=True))

    def _idle(self) -> list[_Worker]:
        """The processes that have nothing left to do."""
        return [worker for worker in self._workers if not worker.busy and worker.process.is_alive()]

    def _divide(self, worker: _Worker) -> bool:
        """Give what a process has left of a stack that was to be divided to all that have nothing to do, itself among
        them. Returns whether anything is left of one."""
        if not worker.dividing or not worker.left:
            return False
        assert isinstance(worker.task, Task)
        rest = [network for network in worker.task.networks if network.identity in worker.left]
        takers = [worker, *self._idle()][: len(rest)]
        takers += [self._start(device) for device in self._unused()[: len(rest) - len(takers)]]
        for place, taker in enumerate(takers):
            # They are in the order of how long they are expected to take: dealt out, each part takes about as long.
            part = replace(worker.task, networks=tuple(rest[place :: len(takers)]), part=True)
            self._give(taker, iter([part]))
        return True

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
        self._end([worker for worker in self._workers if not worker.process.is_alive()])

    def _unused(self) -> list[str]:
        """The devices that have no process yet."""
        unused = list(self.devices)
        for worker in self._workers:
            unused.remove(worker.device)
        return unused

    def _start(self, device: str, core: FileLock | None = None) -> _Worker:
        if self._cores and device == "cpu":
            core = core or self._cores.wait()
            launching.warm()  # no sooner: jobs that wait take little memory
        self._workers.append(_Worker(*launching.launch(device), device, core))
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
        worker.task = task = next(queue, None)
        worker.since, worker.dividing = math.inf, False
        if task is None and self._shares:
            self._end([worker])
        elif task is not None:
            worker.left = {network.identity for network in task.networks}
            with contextlib.suppress(OSError):  # it is gone: the next look at its connection finds that
                worker.connection.send(task)

    def _ready(self, seconds: float | None = None) -> list[_Worker]:
        busy = [worker for worker in self._workers if worker.busy]
        ready = wait([worker.connection for worker in busy], seconds)
        return [worker for worker in busy if worker.connection in ready]

    def _receive(self, worker: _Worker, queue: Iterator[Task | MeasureTask]) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):  # OSError: it was killed in the middle of a message
            yield self._bury(worker)
            if (task := next(queue, None)) is not None:
                self._give(self._start(worker.device, worker.core), iter([task]))
            elif worker.core:
                worker.core.release()
            return
        if isinstance(message, Done):
            if not self._divide(worker):
                self._give(worker, queue)
            return
        if isinstance(message, Progress) and message.epoch:
            worker.since = min(worker.since, time.monotonic())
        elif isinstance(message, (Result, Measured, Refused)):
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


_shared: dict[tuple[str, int, str], Pool] = {}


def shared(device: str, workers: int, among: str = "") -> Pool:
    """The process-wide pool for these settings; ended at exit."""
    key = (device, workers, among)
    if key not in _shared:
        for other in _shared.values():
            other.close()
        _shared.clear()
        _shared[key] = Pool(device, workers, among)
    return _shared[key]


@atexit.register
def _close_shared() -> None:
    for pool in _shared.values():
        pool.close()
