"""What a network must be for a measure to be defined. Chain, homogeneous, dense, two_layers: each is met by fewer
networks than the one before it.

With `model.output_scale` a network computes alpha (f_theta - f_theta0), which no product over the layers of f_theta
describes: it is no chain. With `model.linearize` it computes f_theta0 + J(theta_0) (theta - theta_0): the weights theta
are those of no layer that inputs pass through, and its ReLUs, convolutions and tangent kernel stay as they begin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from initdist.stacks.stack import StackedModel

_WEIGHTS = (nn.Linear, nn.modules.conv._ConvNd)
# What may stand between the weights where f(a x) = a f(x) for a > 0, biases aside.
_HOMOGENEOUS = (nn.ReLU, nn.Identity, nn.Flatten, nn.MaxPool2d, nn.AdaptiveAvgPool2d)


@dataclass(frozen=True)
class Need:
    """A condition on a stacked model, and the words for the models that meet it."""

    models: str
    met: Callable[[StackedModel], bool]


def _chain(model: StackedModel) -> bool:
    return model.chain and not model.anchored


def _homogeneous(model: StackedModel) -> bool:
    return _chain(model) and all(isinstance(part, (*_WEIGHTS, *_HOMOGENEOUS)) for part in _parts(model))


def _dense(model: StackedModel) -> bool:
    weights = [part for part in _parts(model) if isinstance(part, _WEIGHTS)]
    return _homogeneous(model) and len(weights) > 1 and all(isinstance(part, nn.Linear) for part in weights)


def _two_layers(model: StackedModel) -> bool:
    return _dense(model) and sum(isinstance(part, nn.Linear) for part in _parts(model)) == 2


def _layers(model: StackedModel) -> bool:
    return not model.linearize


def _relu(model: StackedModel) -> bool:
    return _layers(model) and any(isinstance(part, nn.ReLU) for part in _parts(model))


def _convolutions(model: StackedModel) -> bool:
    """Whether there are convolutions; not where some are transposed, whose weights are [in, out, *kernel]."""
    found = [part for part in _parts(model) if isinstance(part, nn.modules.conv._ConvNd)]
    return _layers(model) and bool(found) and not any(part.transposed for part in found)


def _parts(model: StackedModel) -> list[nn.Module]:
    return [part for part in model.module.modules() if not list(part.children())]


NEEDS = {
    "any": Need("all", lambda model: True),
    "layers": Need("all but linearized ones", _layers),
    "relu": Need("all with ReLU", _relu),
    "chain": Need("chains", _chain),
    "homogeneous": Need("chains with ReLU or identity", _homogeneous),
    "dense": Need("dense chains with ReLU or identity, from depth 1", _dense),
    "convolutions": Need("all with convolutions", _convolutions),
    "convolution_chain": Need("chains with convolutions", lambda model: _chain(model) and _convolutions(model)),
    "two_layers": Need("dense chains with ReLU or identity, depth 1", _two_layers),
}
