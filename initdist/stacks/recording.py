"""Recorded functions of tensors: the operations they come down to, replayed without the code that led there.

Per step and layer, vmap, autograd and the module's own Python cost more than the arithmetic of a small network. A
recording holds the same operations in the same order, so that a replay equals the call bit for bit.

N networks of a stack. What is recorded of a stack holds for any N.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from initdist.stacks import precision, rewriting
from initdist.stacks.precision import Function
from initdist.stacks.tracing import Untraceable, trace, trace_any_size

# Recording costs as much as some hundred calls: shapes that come up less often are not worth it.
WORTHWHILE = 40
KEPT = 64


class Recorded:
    """A pure function of tensors, recorded for those shapes that it is called with again and again.

    What it does must depend on the shapes, never on the values, and it must not write to its arguments.
    stacked: whether all its arguments are [N, ...] and it treats the N networks alike.
    updates: so many of its results are new values of its first arguments, and are written there instead. It is recorded
    at its first call then: how its results are rounded differs from the call's.
    """

    def __init__(self, function: Function, stacked: bool, compiled: bool = False, updates: int = 0) -> None:
        self._function = function
        self._stacked = stacked
        self._compiled = compiled
        self._updates = updates
        self._calls: Counter[Any] = Counter()
        self._recordings: dict[Any, Function] = {}

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        any_size = self._stacked and not self._compiled
        key = tuple((tensor.shape[1:] if any_size else tensor.shape, tensor.stride()) for tensor in given)
        recording = self._recordings.get(key)
        if recording is None:
            if given[0].is_cuda and torch.cuda.is_current_stream_capturing():
                return self._write(given)  # what recording or compiling takes must not become part of the graph
            self._calls[key] += 1
            if self._calls[key] <= WORTHWHILE and not self._at_once(given):
                return self._function(*given)
            recording = self._keep(key, self._record(given, any_size))
        with torch.no_grad():
            return recording(*given)

    def _at_once(self, given: tuple[Tensor, ...]) -> bool:
        """On CUDA a step is called a few times only before it is captured."""
        return self._updates > 0 or (self._compiled and given[0].is_cuda)

    def _write(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        results = self._function(*given)
        for argument, value in zip(given, results[: self._updates], strict=False):
            argument.copy_(value)
        return results[self._updates :]

    def _record(self, given: tuple[Tensor, ...], any_size: bool) -> Function:
        recorded = record(self._function, given, any_size)
        if recorded is None:
            return lambda *given: self._write(given)
        rewriting.update_in_place(recorded.graph, self._updates)
        if not self._compiled:
            rewriting.call_directly(recorded.graph)
        recorded.recompile()
        return precision.compiled(recorded) if self._compiled else recorded

    def _keep(self, key: Any, recording: Function) -> Function:
        if len(self._recordings) == KEPT:  # the oldest belongs to stacks that trained long ago
            del self._recordings[next(iter(self._recordings))]
        self._recordings[key] = recording
        return recording


def record(function: Function, given: tuple[Tensor, ...], any_size: bool = False) -> GraphModule | None:
    """The operations that `function` performs on tensors like these, as a function of its own.

    With `any_size`, on such tensors of any first dimension, which all of them have in common.

    None where that cannot be written down, as where one of them writes to a tensor: leaving others out would not be
    safe then.
    """
    try:
        recorded = (trace_any_size if any_size else trace)(function, given)
    except Untraceable:  # group normalization in some versions of PyTorch
        return None
    rewriting.simplify(recorded.graph)
    recorded.recompile()
    return recorded
