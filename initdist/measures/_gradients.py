"""Gradients of single samples of one network: their squared lengths and their sum, without forming each of them.

B samples. At a linear layer with inputs h and gradients d of its outputs a sample's gradient is d h^T, whose length is
the product of theirs (Goodfellow 2015, arXiv 1510.01799). At other layers it is formed, for a few samples at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from initdist.measures._kernel import Use, forward
from initdist.stacks.losses import Loss
from initdist.stacks.stack import Parameters, StackedModel

FORMED = 2**24  # values of gradients that are formed at a time


def moments(
    model: StackedModel, parameters: Parameters, reference: Parameters, loss: Loss, inputs: Tensor, labels: Tensor
) -> tuple[Tensor, Parameters]:
    """sum_i ||grad l_i||_2^2, in float64, and sum_i grad l_i of samples [B, ...].

    Gradients in the parameters as they are trained, before multipliers.
    """
    factors = model.multipliers
    at = reference if model.linearize else parameters  # where the gradients of the logits are taken
    used = {name: (p * factors.get(name, 1.0)).detach().requires_grad_() for name, p in at.items()}
    with torch.enable_grad():
        uses, logits = forward(model.module, used, inputs)
        wanted = [*(use.output for use in uses), *used.values()]
        if model.linearize:
            summed = _along(model, logits, model.logits(parameters, reference, inputs), loss, labels)
        else:
            if model.output_scale is not None:
                start = {name: p * factors.get(name, 1.0) for name, p in reference.items()}
                logits = model.output_scale * (logits - functional_call(model.module, start, (inputs,)))
            summed = loss(logits, labels).sum()
        found = torch.autograd.grad(summed, wanted)
    total = torch.zeros((), dtype=torch.float64, device=inputs.device)
    for use, gradient in zip(uses, found, strict=False):
        factorizes = isinstance(use.layer, nn.Linear) and use.inputs.dim() == 2
        total += (_factorized if factorizes else _formed)(use, gradient, used, model)
    sums = zip(used, found[len(uses) :], strict=True)
    return total, {name: gradient * factors.get(name, 1.0) for name, gradient in sums}


def _along(model: StackedModel, initial: Tensor, logits: Tensor, loss: Loss, labels: Tensor) -> Tensor:
    """What has the gradients of a linearized network's losses, as a function of its initial logits [B, C]: these times
    the derivatives of the losses by its own logits."""
    own = logits.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(loss(own, labels).sum(), [own])
    return (1.0 if model.output_scale is None else model.output_scale) * (initial * slopes).sum()


def _factorized(use: Use, gradients: Tensor, used: Parameters, model: StackedModel) -> Tensor:
    """A linear layer's part of the sum, from gradients [B, out] of its outputs."""
    lengths = _squares(use.inputs) * model.multipliers.get(f"{use.prefix}weight", 1.0) ** 2
    if f"{use.prefix}bias" in used:
        lengths += model.multipliers.get(f"{use.prefix}bias", 1.0) ** 2
    return (_squares(gradients) * lengths).sum()


def _formed(use: Use, gradients: Tensor, used: Parameters, model: StackedModel) -> Tensor:
    """Any layer's part of the sum, from gradients [B, ...] of its outputs."""
    own = {name: used[f"{use.prefix}{name}"].detach() for name, _ in use.layer.named_parameters()}

    def one(inputs: Tensor, gradient: Tensor) -> Parameters:
        pull = vjp(lambda p: functional_call(use.layer, p, (inputs[None],)), own)[1]
        found: Parameters = pull(gradient[None])[0]
        return found

    together = max(1, FORMED // sum(p.numel() for p in own.values()))
    total = torch.zeros((), dtype=torch.float64, device=gradients.device)
    for inputs, given in zip(use.inputs.split(together), gradients.split(together), strict=True):
        for name, values in vmap(one)(inputs, given).items():
            total += _squares(values).sum() * model.multipliers.get(f"{use.prefix}{name}", 1.0) ** 2
    return total


def _squares(rows: Tensor) -> Tensor:
    """Squared lengths [B] of tensors [B, ...], in float64."""
    return torch.linalg.vector_norm(rows.flatten(1), dim=1, dtype=torch.float64).square()
