"""What is gathered of the networks of a stack while they train: histories and, at their ends, their results."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from initdist import measures, names
from initdist.config.schema import Config
from initdist.data.noise import NOISES
from initdist.events import Result
from initdist.stacks import evaluation, weights
from initdist.stacks.losses import LOSSES
from initdist.stacks.stack import Parameters, Stack
from initdist.training import measuring, stopping
from initdist.training.checkpoint import State
from initdist.training.loop import Snapshot

# Test samples behind the points of a history; the final values are of the whole test set.
CURVE_SAMPLES = 1000
# Test samples whose bits fit into a tag of MLflow.
CORRECT_SAMPLES = 20_000


@dataclass(frozen=True)
class Trained:
    """One network's result and its trained parameters, on the CPU."""

    network: int  # its position in the stack
    result: Result
    parameters: Parameters


@dataclass(frozen=True)
class Kept:
    """Where a network stands, to go on from later."""

    network: int  # its position in the stack
    state: State


@dataclass
class Record:
    """What is gathered about one network while it trains."""

    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    crossings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @staticmethod
    def of(plain: Mapping[str, Any]) -> Record:
        """From what `asdict` made of one, through JSON."""
        history = [(step, values) for step, values in plain["history"]]
        return Record(history, dict(plain["crossings"]), plain["seconds"])


def recorded_epochs(points: int, max_epochs: int) -> frozenset[int]:
    """About `points` log-spaced epochs from 1 to `max_epochs`, and epoch 0."""
    if points == 0:
        return frozenset()
    return frozenset({0, *np.geomspace(1, max_epochs, points).round().astype(int).tolist()})


class Observer:
    """Turns snapshots into each network's history and, at its end, its result."""

    def __init__(self, configs: Sequence[Config], initial: Stack, classes: int) -> None:
        self.configs = configs
        self.initial = initial
        self.classes = classes
        self.loss = LOSSES[configs[0].loss.name].loss
        self.records = [Record() for _ in configs]
        self.recorded = recorded_epochs(configs[0].history, configs[0].stop.max_epochs)
        self.correct: dict[int, bytes] = {}  # network -> which test samples it is right about, where it has ended
        own = configs[0].measures
        chosen = measures.expand(own.names) if own.history else []
        self.along = [name for name in chosen if measures.REGISTRY[name].history]
        self.clock = time.perf_counter()

    def observe(self, snapshot: Snapshot) -> Iterator[Trained]:
        """Record what this epoch calls for; yield the networks that ended in it."""
        self._share_time(snapshot)
        wanted = snapshot.running if snapshot.epoch in self.recorded else sorted(snapshot.ended)
        moved = sorted({*wanted, *snapshot.crossed})
        distances = self._distances(snapshot, moved)
        for k, levels in snapshot.crossed.items():
            crossings = self._record(snapshot, k).crossings
            crossings |= {names.distance_at_loss(level): distances[k] for level in levels}
            crossings |= {names.steps_at_loss(level): snapshot.step for level in levels}
        if not wanted:
            return
        values = self._values(snapshot, wanted, distances)
        running = [k for k in wanted if k not in snapshot.ended]
        for k, along in zip(running, self._along(snapshot, running), strict=True):
            self._record(snapshot, k).history.append((snapshot.step, values[k] | along))
        if snapshot.ended:
            yield from self._results(snapshot, values)

    def _along(self, snapshot: Snapshot, positions: list[int]) -> list[dict[str, float]]:
        """The measures of these networks that are cheap enough for every point of a history."""
        if not self.along or not positions:
            return [{} for _ in positions]
        index = torch.tensor(positions, device=self.initial.device)
        subject = measures.MeasureInputs(
            *self._part(snapshot, positions), replace(snapshot.data, inputs=None).select(index)
        )
        found = measures.compute(self.along, subject)
        each = {names.measure(name, layer): value.tolist() for (name, layer), value in found.items()}
        return [{key: own[i] for key, own in each.items() if math.isfinite(own[i])} for i in range(len(positions))]

    def state(self, snapshot: Snapshot, k: int) -> Kept:
        """All that the further training of a running network depends on."""
        return Kept(
            snapshot.members[k],
            State(
                snapshot.epoch,
                snapshot.stack.network(k),
                snapshot.optimizer.network(k),
                snapshot.waiting[k],
                asdict(self._record(snapshot, k)),
            ),
        )

    def _record(self, snapshot: Snapshot, k: int) -> Record:
        return self.records[snapshot.members[k]]

    def _share_time(self, snapshot: Snapshot) -> None:
        now = time.perf_counter()
        for k in snapshot.running:
            self._record(snapshot, k).seconds += (now - self.clock) / len(snapshot.running)
        self.clock = now

    def _part(self, snapshot: Snapshot, positions: list[int]) -> tuple[Stack, Stack]:
        """The networks at these positions and their initial ones; no copy where all are wanted."""
        members = torch.tensor([snapshot.members[k] for k in positions], device=self.initial.device)
        every = len(positions) == len(self.configs)
        initial = self.initial if every else self.initial.select(members)
        if len(positions) == len(snapshot.members):
            return snapshot.stack, initial
        return snapshot.stack.select(torch.tensor(positions, device=self.initial.device)), initial

    def _distances(self, snapshot: Snapshot, positions: list[int]) -> dict[int, float]:
        if not positions:
            return {}
        return dict(zip(positions, evaluation.distance(*self._part(snapshot, positions)).tolist(), strict=True))

    def _values(
        self, snapshot: Snapshot, positions: list[int], distances: dict[int, float]
    ) -> dict[int, dict[str, float]]:
        """Losses, errors, gaps and distance of the networks at these positions.

        On the whole test set at a network's end, on part of it before: else the curves would cost more than training.
        """
        values: dict[int, dict[str, float]] = {}
        ended = sorted(snapshot.ended)
        running = [k for k in positions if k not in snapshot.ended]
        for chosen, samples in ((running, CURVE_SAMPLES), (ended, None)):
            if chosen:
                values |= self._values_on_test(snapshot, chosen, distances, samples)
        return values

    def _values_on_test(
        self, snapshot: Snapshot, positions: list[int], distances: dict[int, float], samples: int | None
    ) -> dict[int, dict[str, float]]:
        trained, _ = self._part(snapshot, positions)
        index = torch.tensor(positions, device=self.initial.device)
        tested = replace(snapshot.data, inputs=None).select(index)  # the training inputs are not needed
        if samples is None:
            test_loss, test_error, correct = evaluation.test_results(trained, tested, self.loss)
            self._keep_correct([snapshot.members[k] for k in positions], test_error, correct)
        else:
            test_loss, test_error = evaluation.test_metrics(trained, tested, self.loss, samples)
        train_loss, train_error = self._train_metrics(snapshot, trained, positions)
        values = {}
        for i, k in enumerate(positions):
            config = self.configs[snapshot.members[k]]
            one = {
                names.DISTANCE: distances[k],
                names.TRAIN_LOSS: float(train_loss[i]),
                names.TEST_LOSS: float(test_loss[i]),
                names.TRAIN_ERROR: float(train_error[i]),
                names.TEST_ERROR: float(test_error[i]),
                names.GAP: float(test_error[i] - train_error[i]),
            }
            if (error := NOISES[config.noise.name].error) is not None:
                noisy = error(float(test_error[i]), config.noise.level, self.classes)
                one[names.GAP_NOISY] = noisy - float(train_error[i])
            values[k] = one
        return values

    def _keep_correct(self, members: list[int], error: torch.Tensor, correct: torch.Tensor) -> None:
        if correct.shape[1] <= CORRECT_SAMPLES:
            bits = np.packbits(correct.cpu().numpy(), axis=1)
            known = ~error.isnan().cpu().numpy()  # the argmax of NaN is a class too
            self.correct |= {k: bits[i].tobytes() for i, k in enumerate(members) if known[i]}

    def _train_metrics(
        self, snapshot: Snapshot, trained: Stack, positions: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """From the snapshot, or computed where the loop did not (a network that diverged between two checks)."""
        if not snapshot.train_loss[positions].isnan().any():
            return snapshot.train_loss[positions], snapshot.train_error[positions]
        index = torch.tensor(positions, device=self.initial.device)
        loss, error = evaluation.train_metrics(trained, snapshot.data.select(index), self.loss)
        return loss.cpu(), error.cpu()

    def _results(self, snapshot: Snapshot, values: dict[int, dict[str, float]]) -> Iterator[Trained]:
        positions = sorted(snapshot.ended)
        trained, initial = self._part(snapshot, positions)
        index = torch.tensor(positions, device=self.initial.device)
        config = self.configs[0].measures
        seeds = [self.configs[snapshot.members[k]].seeds.init for k in positions]
        crossings = [self._record(snapshot, k).crossings for k in positions]
        subject = measures.MeasureInputs(
            trained, initial, snapshot.data.select(index), self.loss, config, seeds, crossings
        )
        measured = measuring.measure(subject)
        for i, k in enumerate(positions):
            member, record = snapshot.members[k], self._record(snapshot, k)
            result = Result(
                stop_reason=snapshot.ended[k],
                converged=stopping.converged(self.configs[member].stop, snapshot.ended[k]),
                step=snapshot.step,
                metrics={
                    **values[k],
                    names.EPOCHS: snapshot.epoch,
                    names.STEPS: snapshot.step,
                    **record.crossings,
                    **measured[i].metrics,
                },
                history=record.history,
                theta0=weights.theta_hash(initial.network(i)),
                seconds=record.seconds,
                measured=measured[i],
                graphs=snapshot.graphs,
                correct=self.correct.pop(member, b""),
            )
            yield Trained(member, result, trained.network(i))
