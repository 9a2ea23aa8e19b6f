"""N networks of one shape as one stack: every parameter gets a first dimension N. One network is the stack of size one.

N networks, B batch, C classes; `inputs_nb` is [N, B, *input_shape], `labels_nb` [N, B].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from initdist import initialization, models
from initdist.losses import Loss
from initdist.schema import Config

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Stack:
    """A module without values (on the meta device) and the parameters [N, ...] of its N instances."""

    module: nn.Module
    parameters: Parameters

    def __len__(self) -> int:
        return next(iter(self.parameters.values())).shape[0]

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def forward(self, inputs_nb: Tensor) -> Tensor:
        """Logits [N, B, C], without a graph."""
        with torch.no_grad():
            return vmap(self._call)(self.parameters, inputs_nb)

    def gradients(self, loss: Loss, inputs_nb: Tensor, labels_nb: Tensor) -> tuple[Parameters, Tensor]:
        """Gradients [N, ...] of each network's own mean batch loss, and those losses [N]."""

        def batch_loss(parameters: Parameters, inputs: Tensor, labels: Tensor) -> Tensor:
            return loss(self._call(parameters, inputs), labels).mean()

        return vmap(grad_and_value(batch_loss))(self.parameters, inputs_nb, labels_nb)

    def select(self, keep: Tensor) -> Stack:
        """The stack of the networks at these positions, as a copy."""
        return Stack(self.module, {name: p[keep] for name, p in self.parameters.items()})

    def clone(self) -> Stack:
        return Stack(self.module, {name: p.clone() for name, p in self.parameters.items()})

    def network(self, index: int) -> Parameters:
        """The parameters of one network, without the stack's dimension, as a copy on the CPU."""
        return {name: p[index].detach().cpu().clone() for name, p in self.parameters.items()}

    def _call(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        return functional_call(self.module, parameters, (inputs,))


def build(configs: Sequence[Config], input_shape: tuple[int, ...], classes: int, device: torch.device) -> Stack:
    """The initial stack of networks whose configs differ only in stackable axes, on a device."""
    with torch.device("meta"):
        module = models.build(configs[0].model, input_shape, classes)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    drawn = [initialization.draw(config, shapes) for config in configs]
    return Stack(module, {name: torch.stack([one[name] for one in drawn]).to(device) for name in shapes})
