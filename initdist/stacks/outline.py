"""What a model is before it has values: its module, and what one sample makes it compute and keep."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from initdist import models
from initdist.config.schema import ModelConfig
from initdist.stacks.linearized import linearized, prepare

LARGE = 50_000_000  # values; a product copies those of its layer


def module(config: ModelConfig, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A model's module on the meta device: shapes without values."""
    with torch.device("meta"):
        return models.build(config, input_shape, classes)


def parameters(outlined: nn.Module) -> int:
    """How many parameters a module has."""
    return sum(p.numel() for p in outlined.parameters())


def activations(outlined: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Values that one sample leaves behind in the layers of a module."""
    counts: list[int] = []
    handles = [
        layer.register_forward_hook(lambda _layer, _inputs, output: counts.append(output.numel()))
        for layer in outlined.modules()
        if not list(layer.children())
    ]
    _send(outlined, input_shape)
    for handle in handles:
        handle.remove()
    return sum(counts)


def logits(outlined: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """What a module makes of one sample."""
    return _send(outlined, input_shape)


def linearize(outlined: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Linearize a module, for one sample. Raises RuntimeError where an operation has no forward derivative."""
    prepare()
    zeros, inputs = _zeros(outlined, input_shape)
    values = {name: zero.contiguous() for name, zero in zeros.items()}  # derivatives are written
    linearized(lambda given: torch.func.functional_call(outlined, given, (inputs,)), values, values)


def operations(outlined: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Floating point operations of the products and convolutions of one sample's forward pass."""
    with _Counter() as counter:
        _send(outlined, input_shape)
    return counter.operations


class _Counter(TorchDispatchMode):
    """As `torch.utils.flop_counter.FlopCounterMode`, which imports PyTorch's compiler to keep it away."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.operations += int(count(*args, **(kwargs or {}), out_val=out))
        return out


def _send(outlined: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """One sample of zeros through layers of zeros; without any values where these would take much room.

    Some of PyTorch's layers are done by its compiler on the meta device, which takes long to import.
    """
    values, inputs = _zeros(outlined, input_shape)
    with torch.no_grad():
        return torch.func.functional_call(outlined, values, (inputs,))


def _zeros(outlined: nn.Module, input_shape: tuple[int, ...]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    values = {**dict(outlined.named_parameters()), **dict(outlined.named_buffers())}
    device = "cpu" if sum(value.numel() for value in values.values()) <= LARGE else "meta"
    zeros = {name: torch.zeros((), dtype=v.dtype, device=device).expand(v.shape) for name, v in values.items()}
    return zeros, torch.zeros(1, *input_shape, device=device)
