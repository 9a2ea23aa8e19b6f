"""One gradient step of a stack, launched operation by operation at first and as one CUDA graph from then on.

A graph replays what was captured without the Python that led there, which costs many times as much as the arithmetic of
small networks. Before a graph is used it is held against the same step as launched, on the same parameters: a step that
cannot be captured, or comes out otherwise, stays as it is, and that is said. K networks, B batch.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from initdist.config.schema import NumericsConfig
from initdist.errors import DeviceError
from initdist.stacks import memory

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None]], Replay]  # what is launched -> what repeats it; may launch it to warm up

# By how much a network's captured step may differ from the launched one: share of the step's length, and of the norm of
# what it changes (some roundings of float32).
STEP_TOLERANCE, ROUNDING = 1e-3, 1e-6

_broken_off: list[str] = []  # why captures of this process have


@dataclass
class Graphs:
    """Whether the steps of a stack are captured, and what came of it.

    wanted: numerics.cuda_graphs, `auto`, `true` or `false`.
    capture: how a step is captured on this device; None where that is impossible.
    watched: whether a capture can be told its last operation: those of compiled code cannot be seen.
    obstacle: why steps are launched one by one all the same; empty while nothing speaks against graphs.
    """

    wanted: str
    capture: Capture | None
    watched: bool = True
    obstacle: str = ""
    used: bool = field(default=False, init=False)

    @property
    def outcome(self) -> str:
        """In words, for a run's tag; empty on a device without graphs."""
        if self.capture is None:
            return ""
        return f"not used: {self.obstacle}" if self.obstacle else "used" if self.used else "not used: too few steps"

    def refuse(self, obstacle: str, for_good: bool = False) -> None:
        """Go on without; for good in this process where a capture has broken off, which PyTorch does not recover from.

        Raises DeviceError where graphs were asked for.
        """
        if for_good:
            _broken_off.append(obstacle)
        if self.wanted == "true":
            raise DeviceError(f"numerics.cuda_graphs must be auto or false here, got true: {obstacle}")
        self.obstacle = obstacle
        print(
            f"initdist: steps are launched one by one, which is slower, since a CUDA graph of them cannot be used: "
            f"{obstacle}. numerics.cuda_graphs=false does so without a try",
            file=sys.stderr,
            flush=True,
        )


def graphs(numerics: NumericsConfig, device: torch.device, waits: bool) -> Graphs:
    """What is to be tried. waits: whether a step has to wait for the device, which no graph can."""
    made = Graphs(numerics.cuda_graphs.lower(), on(device), watched=not numerics.compile)
    if made.capture is None:
        return made
    if made.wanted == "false":
        made.obstacle = "numerics.cuda_graphs=false"
        return made
    if waits:
        made.obstacle = "input noise is made at every step, since the noisy inputs do not fit into memory"
    elif _broken_off:
        made.obstacle = f"an earlier capture in this process broke off: {_broken_off[0]}"
    if made.obstacle and made.wanted == "true":
        made.refuse(made.obstacle)
    return made


def on(device: torch.device) -> Capture | None:
    """How steps are captured on a device; None where they are not."""
    if device.type != "cuda":
        return None

    def capture(launch: Callable[[], None]) -> Replay:
        """As PyTorch asks: launched once on the stream that is captured on, where libraries allocate their workspaces.

        A collection of garbage in between might free what belongs to another graph, which ends the capture.
        """
        collects, own = gc.isenabled(), torch.cuda.current_stream(device)
        stream, graph = _side_stream(device), torch.cuda.CUDAGraph()
        gc.disable()
        try:
            with torch.cuda.device(device):
                stream.wait_stream(own)
                with torch.cuda.stream(stream):
                    launch()
                own.wait_stream(stream)
                with torch.cuda.graph(graph, stream=stream):
                    launch()
        finally:
            torch.cuda.set_stream(own)  # PyTorch 2.11 leaves the other one where a capture fails
            if collects:
                gc.enable()
        return graph.replay

    return capture


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The same one for all captures: cuBLAS keeps a workspace for each stream that it has seen."""
    return torch.cuda.Stream(device)


class Step:
    """A step on batches [K, B] of one size B.

    launch: takes a batch's positions and does the step.
    changed: everything that a step changes, tensors [K, ...] that are there from the first step on.
    """

    def __init__(self, launch: Callable[[Tensor], None], changed: Callable[[], Sequence[Tensor]]) -> None:
        self._launch, self._changed = launch, changed
        self._warm = False  # whether everything that lives from step to step has been allocated
        self._batch: Tensor | None = None  # where the graph finds its batch
        self._replay: Replay | None = None

    def __call__(self, batch: Tensor, graphs: Graphs) -> None:
        if self._replay is not None and self._batch is not None:
            self._batch.copy_(batch)
            self._replay()
        elif self._warm and graphs.capture is not None and not graphs.obstacle:
            self._try(batch, graphs)
        else:
            self._launch(batch)
            self._warm = True

    def _try(self, batch: Tensor, graphs: Graphs) -> None:
        """One step as launched, and a graph of it if that does the same. Raises what says that memory is exhausted."""
        assert graphs.capture is not None
        static, changed = batch.clone(), self._changed()
        before = [tensor.clone() for tensor in changed]
        last = _Last()
        try:
            with last if graphs.watched else contextlib.nullcontext():
                replay = graphs.capture(lambda: self._launch(static))
        except Exception as error:
            if memory.exhausted(error):
                raise
            _restore(changed, before)
            self._launch(batch)
            graphs.refuse(f"{last.operation} failed in it ({_first_line(error)})", for_good=True)
            return
        _restore(changed, before)
        replay()
        captured = [tensor.clone() for tensor in changed]
        _restore(changed, before)
        self._launch(batch)
        if alike(before, changed, captured):
            self._batch, self._replay, graphs.used = static, replay, True
        else:
            graphs.refuse("it changes the parameters otherwise than the same step launched one by one")


def _restore(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def alike(before: Sequence[Tensor], launched: Sequence[Tensor], captured: Sequence[Tensor]) -> bool:
    """Whether two ways from tensors [K, ...] lead to the same, for each network, to within rounding."""
    same = []
    for start, one, other in zip(before, launched, captured, strict=True):
        finite = one.isfinite() & start.isfinite()
        step, difference, size = (
            value.where(finite, 0).flatten(1).norm(dim=1) if value.dim() > 1 else value.where(finite, 0).abs()
            for value in (one - start, one - other, start)
        )
        same += [
            (one.isfinite() == other.isfinite()).all(),
            (difference <= STEP_TOLERANCE * step + ROUNDING * size).all(),
        ]
    return bool(torch.stack(same).all())


class _Last(TorchDispatchMode):
    """Remembers the last operation."""

    operation = "a compiled step"

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operation = str(function)
        return function(*args, **(kwargs or {}))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
