"""A network as a torch module that computes what was trained, where the plain module does not: under the NTK
parametrization, with `model.output_scale` and with `model.linearize`."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from initdist.config.schema import ModelConfig
from initdist.stacks import initialization
from initdist.stacks.linearized import linearized, prepare


class Function(nn.Module):
    """f(x) of parameters theta: each weight times its multiplier, and alpha (f_theta - f_theta0) where alpha is given.

    theta: the plain module. Its parameters are those that are trained and stored, under the names of the weights file.
    theta0: the plain module of the initial parameters as buffers, which no optimizer moves; only where alpha is given,
    or f_theta is linearized there.

    `parameters()` gives theta alone, so that training goes on from here. `state_dict()` holds theta and theta0, under
    `theta.NAME` and `theta0.NAME`. The loss that was descended is that of f over alpha^2, which a training loop has to
    divide by itself.
    """

    def __init__(
        self, module: nn.Module, multipliers: Mapping[str, float], alpha: float | None, linearize: bool = False
    ) -> None:
        super().__init__()
        if linearize:
            prepare()
        self.theta = module
        self.theta0 = None if alpha is None and not linearize else _frozen(module)
        self.multipliers = dict(multipliers)
        self.alpha = alpha
        self.linearize = linearize

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, C] of inputs [B, K, H, W]."""
        if self.linearize and self.theta0 is not None:
            parameters, reference = dict(self.theta.named_parameters()), dict(self.theta0.named_buffers())
            start, change = linearized(lambda p: self._plain(self.theta, p, inputs), parameters, reference)
            return start + change if self.alpha is None else self.alpha * change
        logits = self._plain(self.theta, dict(self.theta.named_parameters()), inputs)
        if self.theta0 is None or self.alpha is None:
            return logits
        return self.alpha * (logits - self._plain(self.theta0, dict(self.theta0.named_buffers()), inputs))

    def extra_repr(self) -> str:
        return f"multipliers={self.multipliers}, alpha={self.alpha}, linearize={self.linearize}"

    def _plain(self, module: nn.Module, values: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        used = {name: p * self.multipliers[name] if name in self.multipliers else p for name, p in values.items()}
        logits: Tensor = functional_call(module, used, (inputs,))
        return logits


def build(config: ModelConfig, module: nn.Module, theta0: Mapping[str, Tensor]) -> nn.Module:
    """The function of a model's plain module, which begins at theta0: the module itself where it computes that."""
    module.load_state_dict(theta0)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    multipliers = initialization.multipliers(config, shapes)
    if not multipliers and config.output_scale is None and not config.linearize:
        return module
    return Function(module, multipliers, config.output_scale, config.linearize).train(module.training)


def _frozen(module: nn.Module) -> nn.Module:
    """A copy whose parameters are buffers."""
    frozen = copy.deepcopy(module)
    for part in frozen.modules():
        for name, p in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, p.detach().clone())
    return frozen
