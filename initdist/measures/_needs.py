"""What a network must be for a measure to be defined. Chain, homogeneous, dense, two_layers: each is met by fewer
networks than the one before it.

With `model.output_scale` a network computes alpha (f_theta - f_theta0), which no product over the layers of f_theta
describes: it is no chain.
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


def _chain(form: StackedModel) -> bool:
    return form.chain and form.output_scale is None


def _homogeneous(form: StackedModel) -> bool:
    return _chain(form) and all(isinstance(part, (*_WEIGHTS, *_HOMOGENEOUS)) for part in _parts(form))


def _dense(form: StackedModel) -> bool:
    weights = [part for part in _parts(form) if isinstance(part, _WEIGHTS)]
    return _homogeneous(form) and len(weights) > 1 and all(isinstance(part, nn.Linear) for part in weights)


def _two_layers(form: StackedModel) -> bool:
    return _dense(form) and sum(isinstance(part, nn.Linear) for part in _parts(form)) == 2


def _relu(form: StackedModel) -> bool:
    return any(isinstance(part, nn.ReLU) for part in _parts(form))


def _convolutions(form: StackedModel) -> bool:
    """Whether there are convolutions; not where some are transposed, whose weights are [in, out, *kernel]."""
    found = [part for part in _parts(form) if isinstance(part, nn.modules.conv._ConvNd)]
    return bool(found) and not any(part.transposed for part in found)


def _parts(form: StackedModel) -> list[nn.Module]:
    return [part for part in form.module.modules() if not list(part.children())]


NEEDS = {
    "any": Need("all", lambda form: True),
    "relu": Need("all with ReLU", _relu),
    "chain": Need("mlp, linear, cnn", _chain),
    "homogeneous": Need("mlp, linear, cnn with ReLU or identity", _homogeneous),
    "dense": Need("mlp, linear with ReLU or identity, from depth 1", _dense),
    "convolutions": Need("cnn, resnet", _convolutions),
    "convolution_chain": Need("cnn", lambda form: _chain(form) and _convolutions(form)),
    "two_layers": Need("mlp, linear with ReLU or identity, depth 1", _two_layers),
}
