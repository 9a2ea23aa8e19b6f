"""A function of tensors -> the operations it comes down to, in order: derivatives taken, stacks vectorized.

What PyTorch's own `make_fx` does, without the compiler that it imports, which would keep every command waiting for its
first step as long as all of the rest. What depends on the number of networks is found by tracing two of them and three.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from initdist.stacks.precision import Function

SIZES = (2, 3)  # not 1, which is broadcast


class Untraceable(Exception):
    """An operation changes one of its arguments, reads a tensor from elsewhere, or depends on N in another way."""


class Layout(NamedTuple):
    """How a tensor lies in memory. Of a node, `meta["layouts"]` has one for each size traced."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Traced(Tensor):
    """A tensor with the node of the graph that it stands for."""

    value: Tensor
    node: Node

    @staticmethod
    def __new__(cls, value: Tensor, node: Node) -> _Traced:
        made: _Traced = Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=value.device,
        )
        made.value, made.node = value, node
        node.meta["layouts"] = (Layout(value.shape, value.stride(), value.dtype),)
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise Untraceable(f"{function} was called when nothing is written down any more")


class _Tracer(TorchDispatchMode):
    """Performs every operation, and writes it down."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would import its compiler to keep it away from here."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function._schema.is_mutable:
            raise Untraceable(f"{function} changes one of its arguments")
        values = function(*_values(args), **_values(kwargs))
        node = self._graph.call_function(function, _nodes(args), _nodes(kwargs))
        if isinstance(values, Tensor):
            return _Traced(values, node)
        return tuple(
            None if value is None else _Traced(value, self._graph.call_function(operator.getitem, (node, place)))
            for place, value in enumerate(values)
        )


def trace(function: Function, given: Sequence[Tensor]) -> GraphModule:
    """The operations that `function` performs on tensors like these. Raises Untraceable."""
    return GraphModule({}, _graph(function, [_zeros(tensor, tensor.shape) for tensor in given]))


def trace_any_size(function: Function, given: Sequence[Tensor]) -> GraphModule:
    """As `trace`, for tensors [N, ...] like these of any N, which all of them have in common. Raises Untraceable."""
    graph, other = (_graph(function, [_zeros(tensor, (size, *tensor.shape[1:])) for tensor in given]) for size in SIZES)
    _unite(graph, other)
    return GraphModule({}, graph)


def _graph(function: Function, given: Sequence[Tensor]) -> Graph:
    graph = Graph()
    traced = [_Traced(tensor, graph.placeholder(f"given_{place}")) for place, tensor in enumerate(given)]
    with _Tracer(graph):
        results = function(*traced)
    graph.output(_nodes(results))
    return graph


def _zeros(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Of the same strides, type and device. Every operation takes zeros, also where they are classes or indices."""
    last = sum((size - 1) * stride for size, stride in zip(shape, like.stride(), strict=True))
    return torch.zeros(last + 1, dtype=like.dtype, device=like.device).as_strided(tuple(shape), like.stride())


def _values(given: Any) -> Any:
    return tree_map_only(_Traced, lambda traced: traced.value, given)


def _nodes(given: Any) -> Any:
    def node(tensor: Tensor) -> Node:
        if isinstance(tensor, _Traced):
            return tensor.node
        raise Untraceable("a tensor is none of the arguments and does not follow from them")

    return tree_map_only(Tensor, node, given)


def _unite(graph: Graph, other: Graph) -> None:
    """Let every number in which two graphs differ be that multiple of N that it is in both."""
    same = dict(zip(other.nodes, graph.nodes, strict=False))
    if [node.target for node in graph.nodes] != [node.target for node in other.nodes]:
        raise Untraceable("what is performed depends on the number of networks")
    arguments = [node for node in graph.nodes if node.op == "placeholder"]
    with graph.inserting_after(arguments[-1]):
        count = graph.call_method("size", (arguments[0], 0))
    multiples = {1: count}

    def united(one: Any, two: Any) -> Any:
        if isinstance(one, (tuple, list)) and type(one) is type(two) and len(one) == len(two):
            return type(one)(map(united, one, two))
        if type(one) is type(two) and (same.get(two) is one if isinstance(one, Node) else one == two):
            return one
        times, rest = divmod(one, SIZES[0]) if type(one) is type(two) is int else (0, 1)
        if rest or two != times * SIZES[1]:
            raise Untraceable(f"{one} and {two} of {SIZES[0]} and of {SIZES[1]} networks")
        if times not in multiples:
            with graph.inserting_after(count):
                multiples[times] = graph.call_function(operator.mul, (count, times))
        return multiples[times]

    for second, node in same.items():
        node.args = united(node.args, second.args)
        node.kwargs = {name: united(value, second.kwargs[name]) for name, value in node.kwargs.items()}
        if "layouts" in node.meta:
            node.meta["layouts"] += second.meta["layouts"]
