"""Recordings made shorter: operations without an effect left out, updates of parameters in place, operators called
directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Graph, Node

from initdist.stacks.tracing import Layout

aten = torch.ops.aten
# A product, and what adds it to a tensor in place: in one go, so that it is never held in memory itself.
_ACCUMULATED: dict[Any, Any] = {aten.bmm.default: aten.baddbmm_.default, aten.mm.default: aten.addmm_.default}
# PyTorch's own functions for the same operations: to call one takes half as long as to call an operator object.
_FUNCTIONS: dict[Any, Any] = {
    aten.add.Tensor: torch.add,
    aten.bmm.default: torch.bmm,
    aten.gather.default: torch.gather,
    aten._log_softmax.default: torch._log_softmax,
    aten.mean.dim: torch.mean,
    aten.mul.Tensor: torch.mul,
    aten.neg.default: torch.neg,
    aten.permute.default: torch.permute,
    aten.relu.default: torch.relu,
    aten.squeeze.dims: torch.squeeze,
    aten.sub.Tensor: torch.sub,
    aten.sum.dim_IntList: torch.sum,
    aten.t.default: torch.t,
    aten.transpose.int: torch.transpose,
    aten.unsqueeze.default: torch.unsqueeze,
}
_METHODS: dict[Any, str] = {aten.baddbmm_.default: "baddbmm_", aten.sub_.Tensor: "sub_"}
# Methods that take sizes one by one.
_SHAPED: dict[Any, str] = {aten.view.default: "view", aten.expand.default: "expand"}
_VIEWS = (aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.alias.default, aten.transpose.int)


def simplify(graph: Graph) -> None:
    """Remove operations without an effect. Exact, since nothing in a recording writes to its inputs."""
    for node in list(graph.nodes):
        if not isinstance(node.target, torch._ops.OpOverload):
            continue  # arguments, results, parts of a tuple
        source = _equal(node)
        if source is not None:
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    graph.eliminate_dead_code()


def update_in_place(graph: Graph, count: int) -> None:
    """Let the first `count` results, new values of the first arguments, be written to those at the end.

    A difference of an argument and a matrix product is taken without keeping the product: it is rounded differently.
    """
    arguments = [node for node in graph.nodes if node.op == "placeholder"][:count]
    output = graph.output_node()
    values = output.args[0]
    assert isinstance(values, (tuple, list))
    output.args = (tuple(values[count:]),)
    with graph.inserting_before(output):
        for argument, value in zip(arguments, values[:count], strict=True):
            assert isinstance(value, Node)
            _write(graph, argument, value, set(arguments))


def call_directly(graph: Graph) -> None:
    """Let functions and methods of PyTorch stand for operator objects. To be done last."""
    for node in graph.nodes:
        if node.target in _FUNCTIONS:
            node.target = _FUNCTIONS[node.target]
        elif node.target in _METHODS:
            node.op, node.target = "call_method", _METHODS[node.target]
        elif node.target in _SHAPED and node.args[1]:
            node.op, node.target, node.args = "call_method", _SHAPED[node.target], (node.args[0], *node.args[1])


def _write(graph: Graph, argument: Node, value: Node, written: set[Node]) -> None:
    change = value.args[1] if value.target is aten.sub.Tensor and value.args[0] is argument else None
    if not isinstance(change, Node) or value.users or _base(change) in written:
        graph.call_function(aten.copy_.default, (argument, value))
        return
    graph.erase_node(value)
    if _accumulates(change, written):
        graph.call_function(_ACCUMULATED[change.target], (argument, *change.args), {"alpha": -1})
        graph.erase_node(change)
    else:
        graph.call_function(aten.sub_.Tensor, (argument, change))


def _accumulates(product: Node, written: set[Node]) -> bool:
    """Whether a product can be taken where it is subtracted, at the very end: of nothing that is written till then.

    A product of a column and a row is left: MKL rounds it otherwise for one network than for several.
    """
    if product.target not in _ACCUMULATED or product.users:
        return False
    factors = [factor for factor in product.args if isinstance(factor, Node)]
    return not any(_base(factor) in written for factor in factors) and _layouts(factors[0])[0].shape[-1] > 1


def _base(node: Node) -> Node:
    """The node whose memory a node may share."""
    while isinstance(node.target, torch._ops.OpOverload) and any(
        argument.alias_info is not None for argument in node.target._schema.arguments
    ):
        source = node.args[0]
        assert isinstance(source, Node)
        node = source
    return node


def _equal(node: Node) -> Node | None:
    """The earlier node whose values, shape and strides this one only repeats."""
    source = node.args[0] if node.args else None
    if not isinstance(source, Node):
        return None
    if node.target in (aten.detach.default, aten.alias.default):
        return source
    if node.target in (aten.view.default, aten._unsafe_view.default, aten.expand.default):
        return source if _layouts(node) == _layouts(source) else None
    if node.target is aten.add.Tensor and not node.kwargs:
        return _summand(node)
    if node.target is aten.mul.Tensor:
        return _factor(node)
    if node.target is aten.mul.Scalar:
        return source if node.args[1] == 1 and _layouts(node) == _layouts(source) else None
    if node.target is aten.transpose.int and source.target is aten.transpose.int:
        inner = source.args[0]
        return inner if node.args[1:] == source.args[1:] and isinstance(inner, Node) else None
    return None


def _summand(node: Node) -> Node | None:
    """Of a sum with zeros the other summand, which may have fewer rows where these are added to others anyway."""
    other = _beside(node, _zero)
    return other if other and (_layouts(node) == _layouts(other) or _widened(node)) else None


def _factor(node: Node) -> Node | None:
    """Of a product with ones the other factor."""
    other = _beside(node, lambda one: one.target is aten.ones_like.default)
    return other if other and _layouts(node) == _layouts(other) else None


def _beside(node: Node, neutral: Callable[[Node], bool]) -> Node | None:
    """Of two tensors that an operation is given, the one beside the first that is neutral."""
    for one, other in (node.args, node.args[::-1]):
        if isinstance(one, Node) and isinstance(other, Node) and neutral(one):
            return other
    return None


def _widened(node: Node) -> bool:
    """Whether a node is only used in sums with another of its layout."""
    return all(
        user.target is aten.add.Tensor
        and not user.kwargs
        and any(other is not node and _layouts(other) == _layouts(node) for other in user.all_input_nodes)
        for user in node.users
    )


def _zero(node: Node) -> bool:
    """Whether a node is zeros, or their product with finite values: forward derivatives of what does not change."""
    if node.target in (aten.zeros.default, aten._efficientzerotensor.default):
        return True
    if node.target in (*_VIEWS, *_ACCUMULATED):
        return any(isinstance(argument, Node) and _zero(argument) for argument in node.args)
    return False


def _layouts(node: Node) -> tuple[Layout, ...]:
    layouts: tuple[Layout, ...] = node.meta["layouts"]
    return layouts
