"""Suprema over balls of networks: projected gradient ascent for draws of random signs, all at once as one stack.

N networks, J draws, S starts, A = N S J ascents, m samples of each network, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from initdist import rng
from initdist.config.schema import NumericsConfig
from initdist.measures._inputs import ByLayer, MeasureInputs
from initdist.measures._part import BYTES, column
from initdist.stacks import precision
from initdist.stacks.evaluation import ROWS, norm, sum_in_order
from initdist.stacks.stack import Parameters, Stack, StackedModel

COPIES = 6  # of the parameters of an ascent: where it is, its way from the center, gradients, transients
FIRST, LAST = 4.0, 0.2  # length of a step in radii; the lengths between fall evenly on a logarithmic scale


@dataclass(frozen=True)
class Draws:
    """What is the same for all balls: random signs, the class whose output they are set against, the samples.

    A draw depends on the network's seed and its own number alone, not on the width. The classes take turns.
    """

    signs: Tensor  # [N, J, m] -1 or 1
    classes: Tensor  # [N, J]
    inputs: Tensor  # [N, m, ...]
    outputs: int  # C

    @classmethod
    def of(cls, subject: MeasureInputs) -> Draws:
        """Raises ValueError for a subject without the seeds of its networks."""
        if len(subject.seeds) != len(subject.trained):
            raise ValueError(f"{len(subject.trained)} networks need as many seeds to draw, got {len(subject.seeds)}")
        size = min(subject.options.capacity_subset, subject.data.train_size)
        inputs, _ = subject.data.train_slice(0, size)
        outputs = list(subject.weights.values())[-1].shape[1]
        drawn = [_drawn(seed, subject.options.capacity_draws, size, outputs) for seed in subject.seeds]
        signs, classes = (torch.from_numpy(np.stack(part)).to(inputs.device) for part in zip(*drawn, strict=True))
        return cls(signs, classes, inputs, outputs)

    @property
    def number(self) -> int:
        return self.signs.shape[1]

    @cached_property
    def correlations(self) -> Tensor:
        """v = (1/m) sum_i xi_i x_i [N, J, D] for the inputs x_i as vectors, in float64."""
        flat = self.inputs.flatten(2).double()
        return torch.stack([signs.double() @ x / len(x) for signs, x in zip(self.signs, flat, strict=True)])

    def rows(self, layer: Tensor) -> Tensor:
        """Of a last layer [N, C, h] the row of each draw's class [N, J, h]."""
        return torch.stack([own[chosen] for own, chosen in zip(layer, self.classes, strict=True)])

    def targets(self, networks: Tensor, draws: Tensor) -> Tensor:
        """What the outputs of these ascents [A] are multiplied by, [A, m, C]: the signs in the column of the class."""
        chosen = torch.nn.functional.one_hot(self.classes[networks, draws], self.outputs)
        return self.signs[networks, draws].float()[:, :, None] * chosen[:, None, :]


def _drawn(seed: int, draws: int, size: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    signs = np.empty((draws, size), np.int8)
    for draw in range(draws):
        bits = np.unpackbits(np.frombuffer(rng.stream(seed, rng.CAPACITY, draw).bytes(-(-size // 8)), np.uint8))
        signs[draw] = 2 * bits[:size].astype(np.int8) - 1
    turns = rng.stream(seed, rng.CAPACITY).permutation(outputs)
    return signs, turns[np.arange(draws) % outputs]


@dataclass(frozen=True)
class Ball:
    """Networks without biases with ||W_k - center_k||_F <= radius_k; of the last layer one row, of one class, moves.

    from_center: whether the first ascent begins there. At the origin there is no way up.
    """

    centers: ByLayer  # [N, out, in]
    radii: ByLayer  # [N]
    from_center: bool


@dataclass(frozen=True)
class Suprema:
    """Of each draw [N, J], in float64: how much the ball's best network is above its center; the gradient's norm there.

    slopes: only where an ascent begins at the center.
    """

    values: Tensor
    slopes: Tensor | None


def suprema(subject: MeasureInputs, ball: Ball, draws: Draws) -> Suprema:
    """(1/m) sum_i xi_i f(x_i) of the best network that ascent finds in a ball, from below; f is the draw's class."""
    n, starts = len(subject.trained), subject.options.capacity_starts
    with precision.float32():
        found = [_climb(one, subject.options.capacity_steps) for one in _parts(subject, ball, draws)]
    best, begun, slopes = (torch.cat(part).view(n, starts, draws.number) for part in zip(*found, strict=True))
    center = begun[:, 0] if ball.from_center else torch.zeros_like(begun[:, 0])
    # The center is in the ball too.
    return Suprema(torch.maximum(best.amax(1), center) - center, slopes[:, 0] if ball.from_center else None)


@dataclass(frozen=True)
class _Ascents:
    """Some of the ascents, as a stack."""

    model: StackedModel
    centers: Parameters  # [A, ...]
    moved: Parameters  # [A, ...] weights alone
    radii: Parameters  # [A] of the weights
    inputs: Tensor  # [A, m, ...]
    targets: Tensor  # [A, m, C]

    @property
    def stack(self) -> Stack:
        moved = {name: self.centers[name] + way for name, way in self.moved.items()}
        return Stack(self.model, self.centers | moved)


def _parts(subject: MeasureInputs, ball: Ball, draws: Draws) -> Iterator[_Ascents]:
    """All ascents, so many at a time as memory allows: network by network, start by start."""
    model = _plain(subject.trained.model)
    given = {name: torch.zeros_like(p) for name, p in subject.trained.parameters.items()}
    weights = [name for name, p in given.items() if p.dim() > 2]
    layers = dict(zip(weights, ball.centers, strict=True))
    given |= {name: ball.centers[layer].view_as(given[name]) for name, layer in layers.items()}
    n, starts = len(subject.trained), subject.options.capacity_starts
    network, start, draw = torch.meshgrid(*map(torch.arange, (n, starts, draws.number)), indexing="ij")
    together = max(1, BYTES // (4 * COPIES * sum(p[0].numel() for p in given.values())))
    for i, s, j in zip(*(part.flatten().split(together) for part in (network, start, draw)), strict=True):
        at = i.to(subject.trained.device)
        radii = {name: ball.radii[layer][at] for name, layer in layers.items()}
        shapes = {name: tuple(given[name].shape[1:]) for name in weights}
        begun = _begun(shapes, [subject.seeds[k] for k in i.tolist()], s.tolist(), ball.from_center)
        moved = {name: p.to(at.device) for name, p in begun.items()}
        targets = draws.targets(at, j.to(at.device))
        moved[weights[-1]] *= targets.any(1)[:, :, None]  # the row of the draw's class alone
        centers = {name: p[at] for name, p in given.items()}
        for name, p in moved.items():
            length = norm([p])
            p.mul_(column((radii[name] / length).where(length != 0, 0), p))
        yield _Ascents(model, centers, moved, radii, draws.inputs[at], targets)


def _plain(model: StackedModel) -> StackedModel:
    """The same networks, of the weights that the function multiplies by, and in float32."""
    return replace(model, multipliers={}, numerics=NumericsConfig(), _recorded={})


def _begun(
    shapes: dict[str, tuple[int, ...]], seeds: list[int], starts: list[int], from_center: bool
) -> dict[str, Tensor]:
    """Where ascents [A] begin: a direction of the network's own stream for each start, the same for all draws."""

    def direction(seed: int, start: int) -> dict[str, Tensor]:
        if from_center and start == 0:
            return {name: torch.zeros(shape) for name, shape in shapes.items()}
        stream = rng.stream(seed, rng.ASCENT, start)
        drawn = {name: stream.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
        return {name: torch.from_numpy(values) for name, values in drawn.items()}

    known = {key: direction(*key) for key in dict.fromkeys(zip(seeds, starts, strict=True))}
    each = [known[key] for key in zip(seeds, starts, strict=True)]
    return {name: torch.stack([one[name] for one in each]) for name in shapes}


def _climb(begun: _Ascents, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best value [A] on the way, the value where it began, and the norm of the gradient there; moves them."""
    values, slopes = [], []
    for step in range(steps + 1):
        uphill, value = _uphill(begun)
        lengths = {name: norm([p]) for name, p in uphill.items()}
        values.append(value)
        slopes.append(sum_in_order(length.square() for length in lengths.values()).sqrt())
        if step == steps:
            break
        along = FIRST * (LAST / FIRST) ** (step / max(1, steps - 1))
        for name, way in begun.moved.items():
            radii, length = begun.radii[name], lengths[name]
            stride = (along * radii / length).where(length != 0, 0)
            way.addcmul_(uphill[name], column(stride, way))
            length = norm([way])
            way.mul_(column((radii / length).where(length > radii, 1), way))
    return torch.stack(values).amax(0), values[0], slopes[0]


def _uphill(ascents: _Ascents) -> tuple[Parameters, Tensor]:
    """Gradients [A, ...] by the weights, and the values [A]."""
    stack, m = ascents.stack, ascents.targets.shape[1]
    total: Parameters = {}
    value = torch.zeros(len(stack), dtype=torch.float64, device=stack.device)
    for start in range(0, m, ROWS):
        rows = slice(start, start + ROWS)
        share = ascents.targets[:, rows].shape[1] / m
        gradients, losses = stack.gradients(_opposed, ascents.inputs[:, rows], ascents.targets[:, rows])
        value -= losses.double() * share
        for name in ascents.moved:
            part = gradients[name] * -share
            total[name] = total[name].add_(part) if name in total else part
    return total, value


def _opposed(logits: Tensor, targets: Tensor) -> Tensor:
    """A loss: of logits [..., C] and what they are multiplied by."""
    return -(logits * targets).sum(-1)
