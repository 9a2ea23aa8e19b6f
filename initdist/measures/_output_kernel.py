"""The neural tangent kernel of one network over samples and outputs, whole: what a linearized network learns with.

n samples, C classes; rows are ordered by class, then by sample. `_kernel` has its trace over the outputs, of float32
gradients and without so many rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from initdist.measures._kernel import Use, forward
from initdist.stacks.stack import Parameters, StackedModel

FORMED = 2**27  # values of gradients that are formed: 1 GiB


def output_kernel(model: StackedModel, parameters: Parameters, inputs: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """K [C n, C n] and the outputs [C, n], in float64 throughout, of the plain network with these parameters on inputs
    [n, ...]; with an output scale alpha K is that of alpha (f_theta - f_theta0) at theta_0, whose outputs are 0.

    K is NaN where a layer's gradients would not fit into memory.
    """
    used = {
        name: (p.double() * model.multipliers.get(name, 1.0)).detach().requires_grad_()
        for name, p in parameters.items()
    }
    n, alpha = len(inputs), 1.0 if model.output_scale is None else model.output_scale
    with torch.enable_grad():
        copies = inputs.double().repeat(classes, *[1] * (inputs.dim() - 1))
        uses, logits = forward(model.module, used, copies)
        own = logits.unflatten(0, (classes, n)).diagonal(dim1=0, dim2=2)  # [n, C]: the c-th output of the c-th copies
        gradients = torch.autograd.grad(own.sum(), [use.output for use in uses])
    total = torch.zeros(classes * n, classes * n, dtype=torch.float64, device=inputs.device)
    for use, gradient in zip(uses, gradients, strict=True):
        factorizes = isinstance(use.layer, nn.Linear) and use.inputs.dim() == 2
        (_factorized if factorizes else _formed)(total, use, gradient, used, model, classes)
    outputs = own.detach().T
    return alpha**2 * total, outputs if model.output_scale is None else torch.zeros_like(outputs)


def _factorized(
    total: Tensor, use: Use, gradients: Tensor, used: Parameters, model: StackedModel, classes: int
) -> None:
    """Add a linear layer's part, from gradients [C n, out] of its outputs: all classes have the same inputs."""
    h = use.inputs[: len(gradients) // classes]
    products = h @ h.T * model.multipliers.get(f"{use.prefix}weight", 1.0) ** 2
    if f"{use.prefix}bias" in used:
        products += model.multipliers.get(f"{use.prefix}bias", 1.0) ** 2
    n = len(h)
    by_class = total.view(classes, n, classes, n)
    by_class.addcmul_((gradients @ gradients.T).view_as(by_class), products[None, :, None, :])


def _formed(total: Tensor, use: Use, gradients: Tensor, used: Parameters, model: StackedModel, classes: int) -> None:
    """Add any layer's part, from gradients [C n, ...] of its outputs."""
    own = {name: used[f"{use.prefix}{name}"].detach() for name, _ in use.layer.named_parameters()}
    if sum(p.numel() for p in own.values()) * len(gradients) > FORMED:
        total.fill_(torch.nan)
        return

    def one(inputs: Tensor, gradient: Tensor) -> Parameters:
        pull = vjp(lambda p: functional_call(use.layer, p, (inputs[None],)), own)[1]
        found: Parameters = pull(gradient[None])[0]
        return found

    n = len(gradients) // classes
    parts = [vmap(one)(use.inputs[:n], gradient) for gradient in gradients.split(n)]
    for name in own:
        rows = torch.cat([part[name].flatten(1) for part in parts]) * model.multipliers.get(f"{use.prefix}{name}", 1.0)
        total.addmm_(rows, rows.T)
