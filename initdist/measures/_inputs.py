"""What a measure is computed from: a trained stack, its initial stack, and the data, with shared intermediate results.

N networks, m training samples, C classes. Layers k = 1..d have the labels layer1 to layerd, in the order of the module.

W_k, Z_k and D_k = W_k - Z_k are what the function multiplies by: in the NTK parametrization the parameter times its
multiplier. Convolutions are reshaped to [out, in * kernel]; biases and gains of normalization layers are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from initdist.config.schema import MeasuresConfig
from initdist.data.stack_data import StackData
from initdist.measures._spectral import largest_singular_value
from initdist.stacks.evaluation import margins, norm, slices
from initdist.stacks.losses import Loss
from initdist.stacks.losses.cross_entropy import loss as cross_entropy
from initdist.stacks.stack import Stack

T = TypeVar("T")

# gamma is the max(1, m // part)-th smallest margin.
PARTS = {"p5": 20, "p10": 10, "median": 2}

ByLayer = Mapping[str, Tensor]


@dataclass(frozen=True)
class MeasureInputs:
    """A trained stack under measurement; the loss is the one that it was trained with.

    seeds: of the random draws that some measures are estimated from, one a network: its `seeds.init`.
    crossings: for each network the metrics `steps_at_loss/...` of its training, others beside them; empty = not known.
    """

    trained: Stack
    initial: Stack
    data: StackData
    loss: Loss = cross_entropy
    options: MeasuresConfig = field(default_factory=MeasuresConfig)
    seeds: Sequence[int] = ()
    crossings: Sequence[Mapping[str, float]] = ()
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, function: Callable[[MeasureInputs], T]) -> T:
        """What a function makes of this subject, computed at the first call: for what several measures share."""
        if function not in self._known:
            self._known[function] = function(self)
        found: T = self._known[function]
        return found

    @cached_property
    def weights(self) -> ByLayer:
        """W_k [N, out, in * kernel]."""
        return _effective(self.trained, parameter_matrices(self.trained))

    @cached_property
    def initial_weights(self) -> ByLayer:
        """Z_k [N, out, in * kernel]."""
        return _effective(self.initial, parameter_matrices(self.initial))

    @cached_property
    def movements(self) -> ByLayer:
        """D_k [N, out, in * kernel]."""
        return _effective(self.trained, self.parameter_movements)

    @cached_property
    def parameter_movements(self) -> ByLayer:
        """As `movements`, of the parameters as they are trained and stored, before any multiplier."""
        initial = parameter_matrices(self.initial)
        return {layer: p - initial[layer] for layer, p in parameter_matrices(self.trained).items()}

    @cached_property
    def spectral_norms(self) -> ByLayer:
        """||W_k||_2 [N]."""
        return {layer: largest_singular_value(weight) for layer, weight in self.weights.items()}

    @cached_property
    def spectral_distances(self) -> ByLayer:
        """||D_k||_2 [N]."""
        return {layer: largest_singular_value(movement) for layer, movement in self.movements.items()}

    @cached_property
    def frobenius_norms(self) -> ByLayer:
        """||W_k||_F [N]."""
        return {layer: norm([weight]) for layer, weight in self.weights.items()}

    @cached_property
    def frobenius_distances(self) -> ByLayer:
        """||D_k||_F [N]."""
        return {layer: norm([movement]) for layer, movement in self.movements.items()}

    @cached_property
    def unit_distances(self) -> ByLayer:
        """||D_k[j, :]||_2 [N, out] of each unit j."""
        return {layer: torch.linalg.vector_norm(d, dim=2, dtype=torch.float64) for layer, d in self.movements.items()}

    @cached_property
    def margins(self) -> Tensor:
        """[N, m] sorted f(x)_y - max_{j != y} f(x)_j on the training set, against the labels trained on."""
        found = [margins(self.trained.forward(inputs), labels) for inputs, labels in self.slices()]
        return torch.cat(found, dim=1).double().sort(dim=1).values

    def margin(self, quantile: str) -> Tensor:
        """The max(1, m // part)-th smallest margin [N], part by PARTS; not above 0 where many are misclassified."""
        return self.margins[:, max(1, self.data.train_size // PARTS[quantile]) - 1]

    @cached_property
    def gamma(self) -> Tensor:
        """The margin [N] that measures divide by: the quantile that the options name."""
        return self.margin(self.options.margin)

    @cached_property
    def margin_loss(self) -> Tensor:
        """Fraction [N] of the training samples with a margin of at most gamma; NaN where gamma is."""
        within = (self.margins <= self.gamma[:, None]).sum(1).double() / self.data.train_size
        return within.where(self.gamma.isfinite(), torch.nan)

    @cached_property
    def input_norms(self) -> tuple[Tensor, Tensor]:
        """||X||_F [N] of the training inputs as the networks see them, and the largest ||x|| [N] among them."""
        square = largest = torch.zeros(len(self.trained), dtype=torch.float64, device=self.trained.device)
        for inputs, _ in self.slices():
            each = torch.linalg.vector_norm(inputs.flatten(2), dim=2, dtype=torch.float64)
            square, largest = square + norm([each]).square(), torch.maximum(largest, each.amax(1))
        return square.sqrt(), largest

    def slices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The training set in micro-batches: inputs [N, B, K, H, W] and labels [N, B]."""
        return slices(self.trained, self.data.train_slice, self.data.train_size)


def parameter_matrices(stack: Stack) -> dict[str, Tensor]:
    """Layer label -> its weight parameter [N, out, in * kernel]."""
    weights = [p.flatten(2) for p in stack.parameters.values() if p.dim() > 2]
    return {f"layer{k}": weight for k, weight in enumerate(weights, start=1)}


def _effective(stack: Stack, matrices: ByLayer) -> dict[str, Tensor]:
    """Matrices of a stack's layers times the multipliers of their parameters."""
    names = [name for name, p in stack.parameters.items() if p.dim() > 2]
    factors = [stack.model.multipliers.get(name) for name in names]
    return {
        layer: matrix if factor is None else matrix * factor
        for (layer, matrix), factor in zip(matrices.items(), factors, strict=True)
    }
