"""How large a box around its weights a network withstands: within it gradient ascent does not cost it its accuracy.

N networks, k of them in one attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from initdist.measures._bisection import bisect
from initdist.measures._inputs import MeasureInputs
from initdist.measures._part import Part, column, errors, over_parts, taken
from initdist.measures._withstood import LOST, UPPER
from initdist.stacks.evaluation import ROWS
from initdist.stacks.losses import Loss
from initdist.stacks.stack import Parameters, Stack

Box = Callable[[Tensor, Tensor], Tensor]  # parameters, a as a column -> half-widths


def plain(p: Tensor, a: Tensor) -> Tensor:
    return a.expand_as(p)


def by_magnitude(p: Tensor, a: Tensor) -> Tensor:
    return p.abs() * a


def boxes(subject: MeasureInputs) -> dict[str, Tensor]:
    """Half-widths [N] by name: those of `plain` boxes and of boxes by `magnitude`, and half of their brackets.

    The half-width is the middle of its bracket; NaN where diverged, just below UPPER where everything is withstood.
    """

    def search(part: Part) -> dict[str, Tensor]:
        found = {}
        attack = _Attack(part, subject)
        for name, box in (("plain", plain), ("magnitude", by_magnitude)):

            def withstood(values: Tensor, networks: Tensor, box: Box = box) -> Tensor:
                return attack.withstood(box, values, networks)

            low, high = bisect(withstood, part.finite, UPPER, subject.options.search_tolerance)
            found[name], found[f"{name} error"] = (low + high) / 2, (high - low) / 2
        return found

    return over_parts(subject, 6, search)


class _Attack:
    """Signed gradient ascent within a box (Madry et al. 2018, arXiv 1706.06083, on weights instead of inputs).

    The first step goes to the corner that the gradient at the trained weights points to, which is the worst place where
    the loss increases with a linear function of the weights; each further one goes a half-width, clipped to the box.
    """

    def __init__(self, part: Part, subject: MeasureInputs) -> None:
        self._loss = subject.loss
        self._steps = subject.options.ascent_steps
        inputs, labels = part.block(0, subject.options.subset)
        allowed = errors(part.trained, inputs, labels) + LOST * inputs.shape[1]
        none = {name: torch.zeros_like(p) for name, p in part.trained.parameters.items()}
        self._start = _Attempt(part.trained, none, none, inputs, labels, allowed)
        self._uphill = self._start.uphill(self._loss)  # the same for boxes of all sizes

    def withstood(self, box: Box, values: Tensor, networks: Tensor) -> Tensor:
        """Whether ascent within boxes of these half-widths [k] keeps the accuracy of these networks [k]."""
        kept = torch.ones(len(networks), dtype=torch.bool, device=values.device)
        attempt = self._start.select(networks)
        sizes = {name: box(p, column(values, p)) for name, p in attempt.stack.parameters.items()}
        attempt = replace(attempt, box=sizes)
        uphill = taken(Stack(attempt.stack.model, self._uphill), networks).parameters
        left = torch.arange(len(networks), device=values.device)
        for step in range(self._steps):
            attempt = attempt.moved_by(uphill if step == 0 else attempt.uphill(self._loss))
            good = attempt.errors() <= attempt.allowed
            kept[left[~good]] = False
            if not good.any():
                break
            if not good.all():
                attempt, left = attempt.select(good.nonzero().squeeze(1)), left[good]
        return kept


@dataclass(frozen=True)
class _Attempt:
    """Networks that are being moved within their boxes."""

    stack: Stack
    box: Parameters  # half-widths [k, ...]
    moved: Parameters  # [k, ...]
    inputs: Tensor  # [k, B, ...]
    labels: Tensor
    allowed: Tensor  # [k] errors

    def at(self) -> Stack:
        return replace(self.stack, parameters={name: p + self.moved[name] for name, p in self.stack.parameters.items()})

    def errors(self) -> Tensor:
        return errors(self.at(), self.inputs, self.labels)

    def uphill(self, loss: Loss) -> Parameters:
        """The signs [k, ...] of the gradient of the mean loss."""
        at, total = self.at(), {name: torch.zeros_like(p) for name, p in self.moved.items()}
        for start in range(0, self.inputs.shape[1], ROWS):
            part = slice(start, start + ROWS)
            gradients, _ = at.gradients(loss, self.inputs[:, part], self.labels[:, part])
            share = self.labels[:, part].shape[1] / self.labels.shape[1]
            for name, gradient in gradients.items():
                total[name].add_(gradient, alpha=share)
        return {name: gradient.sign_() for name, gradient in total.items()}

    def moved_by(self, signs: Parameters) -> _Attempt:
        moved = {name: (self.moved[name] + signs[name] * half).clamp(-half, half) for name, half in self.box.items()}
        return replace(self, moved=moved)

    def select(self, keep: Tensor) -> _Attempt:
        if len(keep) == len(self.stack):
            return self
        parts = ({name: p[keep] for name, p in part.items()} for part in (self.box, self.moved))
        box, moved = parts
        return _Attempt(self.stack.select(keep), box, moved, self.inputs[keep], self.labels[keep], self.allowed[keep])
