"""N networks of one shape as one stack: every parameter gets a first dimension N. One network is the stack of size one.

N networks, B batch, C classes; `inputs_nb` is [N, B, *input_shape], `labels_nb` [N, B].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from initdist import initialization, models
from initdist.losses import Loss
from initdist.schema import Config

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Form:
    """What the networks of a stack compute: a module without values (on the meta device) and how it is used.

    multipliers: parameters are multiplied by these before use (NTK parametrization).
    output_scale: alpha of f = alpha (f_theta - f_theta0), with gradients of loss / alpha^2 (Chizat et al. 2019,
    arXiv 1812.07956); None = plain f_theta.
    least: smaller stacks are padded with copies, since some kernels of tiny stacks round differently.
    chain: whether the module is its weight layers one after the other.
    """

    module: nn.Module
    multipliers: Mapping[str, float] = field(default_factory=dict)
    output_scale: float | None = None
    least: int = 1
    chain: bool = True

    def __call__(self, parameters: Parameters, reference: Parameters, inputs: Tensor) -> Tensor:
        """Logits [B, C] of one network; `reference` holds theta_0 where output_scale is given, else nothing."""
        logits = self._plain(parameters, inputs)
        if self.output_scale is None:
            return logits
        return self.output_scale * (logits - self._plain(reference, inputs))

    def _plain(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        used = {name: p * self.multipliers[name] if name in self.multipliers else p for name, p in parameters.items()}
        return functional_call(self.module, used, (inputs,))


@dataclass(frozen=True)
class Stack:
    """A form and the parameters [N, ...] of its N networks; `reference` [N, ...] as the form needs it."""

    form: Form
    parameters: Parameters
    reference: Parameters = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.parameters.values())).shape[0]

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def forward(self, inputs_nb: Tensor) -> Tensor:
        """Logits [N, B, C], without a graph."""
        with torch.no_grad():
            return vmap(self.form)(*self._padded(), self._pad(inputs_nb))[: len(self)]

    def gradients(self, loss: Loss, inputs_nb: Tensor, labels_nb: Tensor) -> tuple[Parameters, Tensor]:
        """Gradients [N, ...] of each network's own objective, its mean batch loss over alpha^2, and the losses [N]."""

        def batch_loss(parameters: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor) -> Tensor:
            return loss(self.form(parameters, reference, inputs), labels).mean()

        n = len(self)
        given = (*self._padded(), self._pad(inputs_nb), self._pad(labels_nb))
        gradients, losses = vmap(grad_and_value(batch_loss))(*given)
        if self.form.output_scale is not None:
            gradients = {name: g / self.form.output_scale**2 for name, g in gradients.items()}
        return {name: g[:n] for name, g in gradients.items()}, losses[:n]

    def select(self, keep: Tensor) -> Stack:
        """The stack of the networks at these positions, as a copy."""
        parameters, reference = (
            {name: p[keep] for name, p in part.items()} for part in (self.parameters, self.reference)
        )
        return Stack(self.form, parameters, reference)

    def clone(self) -> Stack:
        """A stack to train: its own parameters, the same reference."""
        return replace(self, parameters={name: p.clone() for name, p in self.parameters.items()})

    def network(self, index: int) -> Parameters:
        """The parameters of one network, without the stack's dimension, as a copy on the CPU."""
        return {name: p[index].detach().cpu().clone() for name, p in self.parameters.items()}

    def _pad(self, values: Tensor) -> Tensor:
        """Values [N, ...] with copies of the first network's, up to the form's least stack."""
        missing = self.form.least - len(self)
        return values if missing <= 0 else torch.cat([values, values[:1].expand(missing, *values.shape[1:])])

    def _padded(self) -> tuple[Parameters, Parameters]:
        """Parameters and reference, padded."""
        parts = (self.parameters, self.reference)
        return tuple({name: self._pad(p) for name, p in part.items()} for part in parts)  # type: ignore[return-value]


def build(configs: Sequence[Config], input_shape: tuple[int, ...], classes: int, device: torch.device) -> Stack:
    """The initial stack of networks whose configs differ only in stackable axes, on a device."""
    model = configs[0].model
    with torch.device("meta"):
        module = models.build(model, input_shape, classes)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    form = Form(
        module,
        initialization.multipliers(model, shapes),
        model.output_scale,
        models.least_stack(model),
        models.is_chain(model),
    )
    drawn = [initialization.draw(config, shapes) for config in configs]
    parameters = {name: torch.stack([one[name] for one in drawn]).to(device) for name in shapes}
    return Stack(form, parameters, parameters if form.output_scale is not None else {})
