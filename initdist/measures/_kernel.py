"""The neural tangent kernel of one network on some samples, traced over its outputs (Jacot et al. 2018, 1806.07572).

n samples, C classes. K_ij = sum_c <grad f_c(x_i), grad f_c(x_j)>, over all trained parameters, those before the
multipliers of the NTK parametrization.

At a linear layer with inputs h and gradients d of its outputs, a sample's gradient is d h^T, and two of them have the
product (d_i d_j)(h_i h_j): none is formed (Novak et al. 2022, arXiv 2206.08720). Those of other layers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from initdist.stacks.stack import Parameters, StackedModel


@dataclass(frozen=True)
class Use:
    """A layer, by the prefix of its parameters' names, and what went through it for each class and sample."""

    layer: nn.Module
    prefix: str
    inputs: Tensor  # [C * n, ...], the same n for each class
    output: Tensor  # [C * n, ...]


def kernel(model: StackedModel, parameters: Parameters, inputs: Tensor, classes: int) -> Tensor:
    """K [n, n], in float64, of the network with these parameters on inputs [n, ...]; NaN or infinite if it diverged."""
    used = {name: (p * model.multipliers.get(name, 1.0)).detach().requires_grad_() for name, p in parameters.items()}
    n = len(inputs)
    with torch.enable_grad():
        uses, logits = forward(model.module, used, inputs.repeat(classes, *[1] * (inputs.dim() - 1)))
        own = logits.unflatten(0, (classes, n)).diagonal(dim1=0, dim2=2)  # [n, C]: the c-th output of the c-th copies
        gradients = torch.autograd.grad(own.sum(), [use.output for use in uses])
    total = torch.zeros(n, n, dtype=torch.float64, device=inputs.device)
    for use, gradient in zip(uses, gradients, strict=True):
        factorizes = isinstance(use.layer, nn.Linear) and use.inputs.dim() == 2
        total += (_factorized if factorizes else _formed)(use, gradient.unflatten(0, (classes, n)), used, model)
    return total if model.output_scale is None else model.output_scale**2 * total


def forward(module: nn.Module, used: Parameters, inputs: Tensor) -> tuple[list[Use], Tensor]:
    """Each layer that has parameters in its one use, and the logits; the whole module where it is not that simple."""
    uses: list[Use] = []
    layers = {name: layer for name, layer in module.named_modules() if list(layer.parameters(recurse=False))}

    def watch(name: str) -> Any:
        def keep(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            uses.append(Use(layer, f"{name}." if name else "", given[0].detach(), output))

        return keep

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        logits: Tensor = functional_call(module, used, (inputs,))
    finally:
        for hook in hooks:
            hook.remove()
    names = [f"{use.prefix}{name}" for use in uses for name, _ in use.layer.named_parameters()]
    if sorted(names) == sorted(used):
        return uses, logits
    return [Use(module, "", inputs, logits)], logits


def _factorized(use: Use, gradients: Tensor, used: Parameters, model: StackedModel) -> Tensor:
    """A linear layer's part of the kernel [n, n], from gradients [C, n, out] of the outputs."""
    n = gradients.shape[1]
    h = use.inputs[:n].double()
    d = gradients.double().movedim(0, 1).flatten(1)
    products = h @ h.T * model.multipliers.get(f"{use.prefix}weight", 1.0) ** 2
    if f"{use.prefix}bias" in used:
        products += model.multipliers.get(f"{use.prefix}bias", 1.0) ** 2
    return d @ d.T * products


def _formed(use: Use, gradients: Tensor, used: Parameters, model: StackedModel) -> Tensor:
    """Any layer's part of the kernel [n, n], from gradients [C, n, ...] of its outputs; class by class."""
    own = {name: used[f"{use.prefix}{name}"].detach() for name, _ in use.layer.named_parameters()}
    total = torch.zeros(gradients.shape[1], gradients.shape[1], dtype=torch.float64, device=gradients.device)

    def one(inputs: Tensor, gradient: Tensor) -> Parameters:
        pull = vjp(lambda p: functional_call(use.layer, p, (inputs[None],)), own)[1]
        found: Parameters = pull(gradient[None])[0]
        return found

    for gradient in gradients:
        for name, values in vmap(one)(use.inputs[: len(gradient)], gradient).items():
            flat = values.flatten(1) * model.multipliers.get(f"{use.prefix}{name}", 1.0)
            total += (flat @ flat.T).double()
    return total
