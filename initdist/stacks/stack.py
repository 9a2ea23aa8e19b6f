"""N networks of one shape as one stack: every parameter gets a first dimension N. One network is the stack of size one.

N networks, B batch, C classes; `inputs_nb` is [N, B, *input_shape], `labels_nb` [N, B].
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap

from initdist import cores, models
from initdist.config.schema import Config, ModelConfig, NumericsConfig
from initdist.stacks import initialization, outline, precision
from initdist.stacks.linearized import linearized, passes, prepare
from initdist.stacks.losses import Loss
from initdist.stacks.recording import Recorded

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class StackedModel:
    """What the networks of a stack compute: a module without values (on the meta device) and how it is used.

    multipliers: parameters are multiplied by these before use (NTK parametrization).
    output_scale: alpha of f = alpha (f_theta - f_theta0), with gradients of loss / alpha^2 (Chizat et al. 2019,
    arXiv 1812.07956); None = plain f_theta.
    linearize: whether f_theta is the linearization at theta_0 of what the module computes (linearized.py).
    numerics: how its arithmetic is done.
    separate: whether the networks are computed one by one, where that is faster than together.
    chain: whether the module is its weight layers one after the other.
    values: how many values one sample leaves behind in all layers; 0 on a CPU, where nobody asks.
    """

    module: nn.Module
    multipliers: Mapping[str, float] = field(default_factory=dict)
    output_scale: float | None = None
    linearize: bool = False
    numerics: NumericsConfig = field(default_factory=NumericsConfig)
    separate: bool = False
    chain: bool = True
    values: int = 0
    _recorded: dict[Hashable, Recorded] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.linearize:
            prepare()  # before anything is traced

    @property
    def anchored(self) -> bool:
        """Whether theta_0 is part of the function."""
        return self.output_scale is not None or self.linearize

    def logits(self, parameters: Parameters, reference: Parameters, inputs: Tensor) -> Tensor:
        """Logits [B, C] of one network; `reference` holds theta_0 where the model is anchored, else nothing."""
        if self.linearize:
            start, change = linearized(lambda p: self._plain(p, inputs), parameters, reference)
            return start + change if self.output_scale is None else self.output_scale * change
        logits = self._plain(parameters, inputs)
        if self.output_scale is None:
            return logits
        return self.output_scale * (logits - self._plain(reference, inputs))

    def stacked_logits(self, parameters: Parameters, reference: Parameters, inputs: Tensor) -> Tensor:
        """Logits [N, B, C] from parameters and reference [N, ...] and inputs [N, B, ...], without a graph."""
        names = tuple(parameters), tuple(reference)

        def logits(*given: Tensor) -> tuple[Tensor, ...]:
            return (self.logits(*_named(names, given), *given[-1:]),)

        with torch.no_grad():
            return self._over_networks(None, logits, (*parameters.values(), *reference.values(), inputs), inputs)[0]

    def stacked_gradients(
        self, loss: Loss, parameters: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor
    ) -> tuple[Parameters, Tensor]:
        """Gradients [N, ...] of each network's mean batch loss, and the losses [N]."""
        names = tuple(parameters), tuple(reference)

        def gradients(*given: Tensor) -> tuple[Tensor, ...]:
            found, value = grad_and_value(self._batch_loss(loss))(*_named(names, given), *given[-2:])
            return (*found.values(), value)

        given = (*parameters.values(), *reference.values(), inputs, labels)
        *found, losses = self._over_networks(loss, gradients, given, inputs)
        return dict(zip(parameters, found, strict=True)), losses

    def stacked_descent(
        self, loss: Loss, parameters: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor, rates: Tensor
    ) -> Tensor:
        """Take each network's gradient times its rate [N] from its parameters, in place; returns the losses [N]."""
        names = tuple(parameters), tuple(reference)

        def descent(*given: Tensor) -> tuple[Tensor, ...]:
            def scaled(*arguments: Any) -> tuple[Tensor, Tensor]:
                value = self._batch_loss(loss)(*arguments)
                return value * given[-1], value  # so that no gradient has to be multiplied

            own = _named(names, given)
            changes, (_, value) = grad_and_value(scaled, has_aux=True)(*own, *given[-3:-1])
            return (*(p - changes[name] for name, p in own[0].items()), value)

        given = (*parameters.values(), *reference.values(), inputs, labels, rates)
        return self._over_networks((loss, "descent"), descent, given, inputs, len(parameters))[0]

    def stacked_products(
        self,
        loss: Loss,
        parameters: Parameters,
        reference: Parameters,
        inputs: Tensor,
        labels: Tensor,
        along: Parameters,
    ) -> Parameters:
        """Hessians of each network's mean batch loss times directions [N, ...]."""
        names, many = (tuple(parameters), tuple(reference)), len(parameters)

        def products(*given: Tensor) -> tuple[Tensor, ...]:
            own, directions = given[:-many], given[-many:]

            def slope(at: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor) -> Tensor:
                found = grad(self._batch_loss(loss))(at, reference, inputs, labels)
                return reduce(torch.add, ((found[name] * d).sum() for name, d in zip(at, directions, strict=True)))

            return tuple(grad(slope)(*_named(names, own), *own[-2:]).values())

        given = (*parameters.values(), *reference.values(), inputs, labels, *along.values())
        found = self._over_networks(("products", loss), products, given, inputs)
        return dict(zip(parameters, found, strict=True))

    def recorded(self, key: Hashable, make: Callable[[], Recorded]) -> Recorded:
        """What is recorded for a key: `make` is called the first time that the key is asked for."""
        if key not in self._recorded:
            self._recorded[key] = make()
        return self._recorded[key]

    def _batch_loss(self, loss: Loss) -> Callable[[Parameters, Parameters, Tensor, Tensor], Tensor]:
        def batch_loss(parameters: Parameters, reference: Parameters, inputs: Tensor, labels: Tensor) -> Tensor:
            return loss(self.logits(parameters, reference, inputs), labels).mean()

        return batch_loss

    def _plain(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        used = {name: p * self.multipliers[name] if name in self.multipliers else p for name, p in parameters.items()}
        dtype = precision.PRECISIONS[self.numerics.precision].autocast
        if dtype is None:
            return functional_call(self.module, used, (inputs,))
        with precision.lowered(inputs.device, dtype):
            return functional_call(self.module, used, (inputs,)).float()

    def _over_networks(
        self,
        key: Hashable,
        function: Callable[..., tuple[Tensor, ...]],
        given: tuple[Tensor, ...],
        inputs: Tensor,
        updates: int = 0,
    ) -> tuple[Tensor, ...]:
        """A function of one network's tensors, applied to those [N, ...] of a stack; the same function for a key.

        Its first so many results, `updates`, are written to its first arguments.

        `inputs` [N, B, ...] are among what is given. On a CPU products with one row or column, as with a single sample,
        are computed otherwise, so rounded otherwise, for one network than for several: they are taken one by one.
        """
        apart = self.separate or (inputs.shape[1] == 1 and not inputs.is_cuda)

        def make() -> Recorded:
            compiled = self.numerics.compile and key is not None  # steps; what is done once an epoch is not worth it
            return Recorded(function if apart else vmap(function), not apart, compiled, updates)

        recorded = self.recorded((key, apart), make)
        if not apart:
            return recorded(*given)
        each_one = [recorded(*(tensor[i] for tensor in given)) for i in range(len(given[0]))]
        return tuple(torch.stack(part) for part in zip(*each_one, strict=True))


def _named(names: tuple[tuple[str, ...], tuple[str, ...]], given: tuple[Tensor, ...]) -> tuple[Parameters, Parameters]:
    """Parameters and reference by their names, from tensors in that order; more may follow."""
    n = len(names[0])
    return dict(zip(names[0], given[:n], strict=True)), dict(zip(names[1], given[n:], strict=False))


@dataclass(frozen=True)
class Stack:
    """A stacked model and the parameters [N, ...] of its N networks; `reference` [N, ...] as the model needs it."""

    model: StackedModel
    parameters: Parameters
    reference: Parameters = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.parameters.values())).shape[0]

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters.values())).device

    def forward(self, inputs_nb: Tensor) -> Tensor:
        """Logits [N, B, C], without a graph."""
        return self.model.stacked_logits(self.parameters, self.reference, inputs_nb)

    def gradients(self, loss: Loss, inputs_nb: Tensor, labels_nb: Tensor) -> tuple[Parameters, Tensor]:
        """Gradients [N, ...] of each network's own objective, its mean batch loss over alpha^2, and the losses [N]."""
        gradients, losses = self.model.stacked_gradients(loss, self.parameters, self.reference, inputs_nb, labels_nb)
        if self.model.output_scale is not None:
            gradients = {name: g / self.model.output_scale**2 for name, g in gradients.items()}
        return gradients, losses

    def descend(self, loss: Loss, inputs_nb: Tensor, labels_nb: Tensor, rates: Tensor) -> Tensor:
        """One step of each network against the gradient of its own objective, at its rate [N], in place.

        Returns the losses [N] before it.
        """
        if self.model.output_scale is not None:
            rates = rates / self.model.output_scale**2
        rates = rates.to(next(iter(self.parameters.values())).dtype)
        return self.model.stacked_descent(loss, self.parameters, self.reference, inputs_nb, labels_nb, rates)

    def products(self, loss: Loss, inputs_nb: Tensor, labels_nb: Tensor, along: Parameters) -> Parameters:
        """Hessians of each network's mean batch loss times directions [N, ...]; not over alpha^2."""
        return self.model.stacked_products(loss, self.parameters, self.reference, inputs_nb, labels_nb, along)

    def select(self, keep: Tensor) -> Stack:
        """The stack of the networks at these positions, as a copy."""
        parameters, reference = (
            {name: p[keep] for name, p in part.items()} for part in (self.parameters, self.reference)
        )
        return Stack(self.model, parameters, reference)

    def clone(self) -> Stack:
        """A stack to train: its own parameters, the same reference."""
        return replace(self, parameters={name: p.clone() for name, p in self.parameters.items()})

    def network(self, index: int) -> Parameters:
        """The parameters of one network, without the stack's dimension, as a copy on the CPU."""
        return {name: p[index].detach().cpu().clone() for name, p in self.parameters.items()}


def build(configs: Sequence[Config], input_shape: tuple[int, ...], classes: int, device: torch.device) -> Stack:
    """The initial stack of networks whose configs differ only in stackable axes, on a device."""
    config, numerics = configs[0].model, configs[0].numerics
    model = _model(_Shape(repr((config, numerics)), input_shape, classes, device.type, config, numerics))
    shapes = {name: tuple(p.shape) for name, p in model.module.named_parameters()}
    drawn = _drawn(configs, shapes, device)
    parameters = {name: torch.stack([one[name] for one in drawn]).to(device) for name in shapes}
    return Stack(model, parameters, parameters if model.anchored else {})


def started(initial: Stack, configs: Sequence[Config]) -> Stack:
    """A stack to train, where its networks begin: at theta_0, or at `model.init_offset` from it."""
    stacked = initial.clone()
    for i, config in enumerate(configs):
        if config.model.init_offset > 0:
            shapes = {name: tuple(p.shape[1:]) for name, p in stacked.parameters.items()}
            for name, values in initialization.offset(config, shapes).items():
                stacked.parameters[name][i] += values.to(initial.device)
    return stacked


def _drawn(configs: Sequence[Config], shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> list[Parameters]:
    """Every network's initial parameters. Where a GPU waits for them all cores draw; else each has a process of its
    own."""
    with ThreadPoolExecutor(cores.usable() if device.type == "cuda" else 1) as threads:
        return list(threads.map(lambda config: initialization.draw(config, shapes), configs))


@dataclass(frozen=True)
class _Shape:
    """What a stacked model depends on, in words that can be compared."""

    described: str
    input_shape: tuple[int, ...]
    classes: int
    device_type: str
    model: ModelConfig = field(compare=False)
    numerics: NumericsConfig = field(compare=False)


@lru_cache(maxsize=8)
def _model(shape: _Shape) -> StackedModel:
    """The stacked model of networks of a shape: the same one for the next stack, which finds the recordings there."""
    module = outline.module(shape.model, shape.input_shape, shape.classes)
    sizes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    values = 0 if shape.device_type == "cpu" else outline.activations(module, shape.input_shape)
    return StackedModel(
        module,
        initialization.multipliers(shape.model, sizes),
        shape.model.output_scale,
        shape.model.linearize,
        shape.numerics,
        separate(module, torch.device(shape.device_type)),
        models.is_chain(shape.model),
        values * passes(shape.model),
    )


def separate(module: nn.Module, device: torch.device) -> bool:
    """Whether networks of this module are computed one by one.

    On a CPU convolutions of several networks at once are slower than one after the other, and a product with a single
    column is computed otherwise, so rounded otherwise, for one network than for several.
    """
    columns = (
        isinstance(layer, nn.Linear) and 1 in (layer.in_features, layer.out_features) for layer in module.modules()
    )
    return device.type == "cpu" and (convolves(module) or any(columns))


def convolves(module: nn.Module) -> bool:
    return any(isinstance(layer, nn.modules.conv._ConvNd) for layer in module.modules())
