"""What a measure is computed from: a trained stack, its initial stack, and the data, with shared intermediate results.

N networks, m training samples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from initdist.data import StackData
from initdist.evaluation import margins, train_logits
from initdist.losses import Loss, cross_entropy
from initdist.schema import MeasuresConfig
from initdist.stack import Stack

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """A trained stack under measurement; the loss is the one that it was trained with.

    seeds: of the random draws that some measures are estimated from, one a network: its `seeds.init`.
    """

    trained: Stack
    initial: Stack
    data: StackData
    loss: Loss = cross_entropy
    options: MeasuresConfig = field(default_factory=MeasuresConfig)
    seeds: Sequence[int] = ()
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, function: Callable[[Subject], T]) -> T:
        """What a function makes of this subject, computed at the first call: for what several measures share."""
        if function not in self._known:
            self._known[function] = function(self)
        found: T = self._known[function]
        return found

    @cached_property
    def weights(self) -> Mapping[str, Tensor]:
        """Layer label -> W_k [N, out, in * kernel], biases left out, in the order of the layers."""
        return _matrices(self.trained)

    @cached_property
    def movements(self) -> Mapping[str, Tensor]:
        """Layer label -> D_k = W_k - Z_k [N, out, in * kernel]."""
        initial = _matrices(self.initial)
        return {layer: weight - initial[layer] for layer, weight in self.weights.items()}

    @cached_property
    def spectral_norms(self) -> Mapping[str, Tensor]:
        """Layer label -> largest singular value [N] of W_k."""
        return {layer: spectral_norm(weight) for layer, weight in self.weights.items()}

    @cached_property
    def margins(self) -> Tensor:
        """[N, m] sorted f(x)_y - max_{j != y} f(x)_j on the training set, against the labels trained on."""
        return margins(train_logits(self.trained, self.data), self.data.labels).sort(dim=1).values


def spectral_norm(matrices: Tensor) -> Tensor:
    """Largest singular value [N] of matrices [N, out, in], in float64; NaN where a network has diverged."""
    finite = matrices.isfinite().all(dim=(1, 2))
    # The decomposition refuses a whole stack for one matrix that is not finite.
    values = torch.linalg.matrix_norm(matrices.where(finite[:, None, None], 0), 2).double()
    return values.where(finite, torch.nan)


def _matrices(stack: Stack) -> dict[str, Tensor]:
    weights = [p.flatten(2) for p in stack.parameters.values() if p.dim() > 2]
    return {f"layer{k}": weight for k, weight in enumerate(weights, start=1)}
