"""Recorded functions of tensors: the operations they come down to, replayed without the code that led there.

Per step and layer, vmap, autograd and the module's own Python cost more than the arithmetic of a small network. A
recording holds the same operations in the same order, so that a replay equals the call bit for bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from initdist import precision
from initdist.precision import Function

# Recording costs as much as some hundred calls: shapes that come up less often are not worth it.
WORTHWHILE = 40
KEPT = 64


class Recorded:
    """A pure function of tensors, recorded for those shapes that it is called with again and again.

    What it does must depend on the shapes, never on the values, and it must not write to its arguments.
    """

    def __init__(self, function: Function, compiled: bool = False) -> None:
        self._function = function
        self._compiled = compiled
        self._calls: Counter[Any] = Counter()
        self._recordings: dict[Any, Function] = {}

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        cuda = given[0].is_cuda
        if cuda and not self._compiled:  # there whole epochs are captured, which leaves out even more
            return self._function(*given)
        key = tuple((tensor.shape, tensor.stride()) for tensor in given)
        recording = self._recordings.get(key)
        if recording is None:
            self._calls[key] += 1
            if self._calls[key] <= WORTHWHILE and not cuda:  # nothing can be compiled while an epoch is captured
                return self._function(*given)
            recording = record(self._function, given)
            recording = self._keep(key, precision.compiled(recording) if self._compiled else recording)
        with torch.no_grad():
            return recording(*given)

    def _keep(self, key: Any, recording: Function) -> Function:
        if len(self._recordings) == KEPT:  # the oldest belongs to stacks that trained long ago
            del self._recordings[next(iter(self._recordings))]
        self._recordings[key] = recording
        return recording


def record(function: Function, given: tuple[Tensor, ...]) -> Function:
    """The operations that `function` performs on tensors like these, as a function of its own.

    The function itself where some of them write to a tensor: leaving others out would not be safe then.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # slow to import, and not needed by short runs

    recorded = make_fx(function)(*given)
    if any(_mutates(node) for node in recorded.graph.nodes):  # group normalization in some versions of PyTorch
        return function
    _simplify(recorded.graph)
    recorded.recompile()
    return recorded


def _simplify(graph: torch.fx.Graph) -> None:
    """Remove operations without an effect. Exact, since nothing in a recording writes to its inputs."""
    for node in list(graph.nodes):
        if not isinstance(node.target, torch._ops.OpOverload):
            continue  # arguments, results, parts of a tuple
        source = _equal(node)
        if source is not None:
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _mutates(node: torch.fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _equal(node: torch.fx.Node) -> torch.fx.Node | None:
    """The earlier node whose values, shape and strides this one only repeats."""
    aten = torch.ops.aten
    source = node.args[0] if node.args else None
    if not isinstance(source, torch.fx.Node):
        return None
    if node.target in (aten.detach.default, aten.alias.default):
        return source
    if node.target in (aten.view.default, aten._unsafe_view.default, aten.expand.default):
        return source if _layout(node) == _layout(source) else None
    if node.target is aten.mul.Scalar:
        return source if node.args[1] == 1 and _layout(node) == _layout(source) else None
    if node.target is aten.transpose.int and source.target is aten.transpose.int:
        inner = source.args[0]
        return inner if node.args[1:] == source.args[1:] and isinstance(inner, torch.fx.Node) else None
    return None


def _layout(node: torch.fx.Node) -> tuple[Any, ...]:
    value = node.meta["val"]
    return value.shape, value.stride(), value.dtype
