"""How the training went: how fast its loss came down, and the noise of its gradients at the end.

The steps are counted at the first end of an epoch with the training loss at the level, the loss that is trained on.
Training logs them as `steps_at_loss/LEVEL`, from which they are computed at its end and afterwards. A network that
never came down to the level has no value, and so have runs of before these metrics.

The measures are those of arXiv 1912.02178, whose appendix could not be read and for which there is no public code:
they are as recalled, with the hypothesis there that what trains faster and with less noise generalizes better. Its
gradient noise after the first epoch is not computed: nothing of that epoch is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initdist import names
from initdist.measures import MeasureInputs, measure
from initdist.measures._gradients import moments
from initdist.stacks import precision

_JIANG = "arXiv 1912.02178"
FIRST, SECOND = 0.1, 0.01


@measure(group="optimization", formula="gradient steps until the training loss is at most 0.1", source=_JIANG)
def steps_to_loss(subject: MeasureInputs) -> Tensor:
    return _steps(subject, FIRST)


@measure(
    group="optimization",
    formula="gradient steps from a training loss of at most 0.1 to one of at most 0.01",
    source=_JIANG,
)
def steps_between_losses(subject: MeasureInputs) -> Tensor:
    """0 where one epoch brought it below both."""
    return _steps(subject, SECOND) - _steps(subject, FIRST)


@measure(
    group="optimization",
    formula="1/m sum_i ||grad l_i - grad L||_2^2, L the mean of the losses l_i of the training samples",
    source=_JIANG,
)
def gradient_noise(subject: MeasureInputs) -> Tensor:
    """The variance of a single sample's gradient at the end of training, summed over all trained parameters, before
    the multipliers of the NTK parametrization; the mean of a batch of B drawn with replacement has 1/B of it. Without
    penalties, and not over alpha^2 with `model.output_scale`."""
    with precision.float32():
        return torch.stack([_variance(subject, index) for index in range(len(subject.trained))])


def _steps(subject: MeasureInputs, level: float) -> Tensor:
    """The steps [N] until a level was crossed; NaN where that is not known, or never was."""
    known = subject.crossings or [{}] * len(subject.trained)
    values = [own.get(names.steps_at_loss(level), torch.nan) for own in known]
    return torch.tensor(values, dtype=torch.float64, device=subject.trained.device)


def _variance(subject: MeasureInputs, index: int) -> Tensor:
    """Of one network, in float64: the mean squared length of its samples' gradients less that of their mean."""
    stack, m = subject.trained, subject.data.train_size
    own = {name: p[index] for name, p in stack.parameters.items()}
    reference = {name: p[index] for name, p in stack.reference.items()}
    squares = torch.zeros((), dtype=torch.float64, device=stack.device)
    sums = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in own.items()}
    for inputs, labels in subject.slices():
        lengths, gradients = moments(stack.model, own, reference, subject.loss, inputs[index], labels[index])
        squares += lengths
        for name, gradient in gradients.items():
            sums[name] += gradient
    mean = torch.stack([torch.linalg.vector_norm(total) for total in sums.values()]).div(m).square().sum()
    return (squares / m - mean).clamp(min=0)
