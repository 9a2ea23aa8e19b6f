"""A function of tensors -> the operations it comes down to, in order: derivatives taken, stacks vectorized.

PyTorch's `make_fx` writes them down. What depends on the number of networks is found by tracing two of them and three.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from initdist.stacks.precision import Function

SIZES = (2, 3)  # not 1, which is broadcast


class Untraceable(Exception):
    """An operation changes one of its arguments, reads a tensor from elsewhere, or depends on N in another way."""


class Layout(NamedTuple):
    """How a tensor lies in memory. Of a node, `meta["layouts"]` has one for each size traced."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


def trace(function: Function, given: Sequence[Tensor]) -> GraphModule:
    """The operations that `function` performs on tensors like these. Raises Untraceable."""
    return GraphModule({}, _graph(function, [_zeros(tensor, tensor.shape) for tensor in given]))


def trace_any_size(function: Function, given: Sequence[Tensor]) -> GraphModule:
    """As `trace`, for tensors [N, ...] like these of any N, which all of them have in common. Raises Untraceable."""
    graph, other = (_graph(function, [_zeros(tensor, (size, *tensor.shape[1:])) for tensor in given]) for size in SIZES)
    _unite(graph, other)
    return GraphModule({}, graph)


def _graph(function: Function, given: Sequence[Tensor]) -> Graph:
    graph = make_fx(function)(*given).graph
    for node in graph.nodes:
        if node.op == "get_attr":
            raise Untraceable("a tensor is none of the arguments and does not follow from them")
        if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            raise Untraceable(f"{node.target} changes one of its arguments")
        like = node.meta.get("val")
        node.meta = {"layouts": (Layout(like.shape, like.stride(), like.dtype),)} if isinstance(like, Tensor) else {}
    return graph


def _zeros(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Of the same strides, type and device. Every operation takes zeros, also where they are classes or indices."""
    last = sum((size - 1) * stride for size, stride in zip(shape, like.stride(), strict=True))
    return torch.zeros(last + 1, dtype=like.dtype, device=like.device).as_strided(tuple(shape), like.stride())


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
