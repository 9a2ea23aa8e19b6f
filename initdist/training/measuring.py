"""Measure the networks of a stack: at their training's end, and afterwards from their weights.

One way for both, so that a value does not depend on when it was computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from initdist import measures, names
from initdist.data import datasets, stack_data
from initdist.errors import UserError
from initdist.events import Measured, Measurement, MeasureTask, Refused, ToMeasure
from initdist.measures import MeasureInputs
from initdist.stacks import memory, precision, stack, weights
from initdist.stacks.losses import LOSSES
from initdist.stacks.stack import Parameters, Stack


def measure(subject: MeasureInputs) -> list[Measurement]:
    """The measures that its options name, of each network. In halves where a stack does not fit into memory."""
    everyone = list(range(len(subject.trained)))

    def part(positions: list[int]) -> list[Measurement]:
        return _measure(subject if positions == everyone else _part(subject, positions))

    return memory.in_halves(part, everyone)


def afterwards(task: MeasureTask, device: torch.device) -> Iterator[Measured | Refused]:
    """Measure trained networks from their files, as one stack. One that is not what it should be is refused alone."""
    networks: list[ToMeasure] = []
    parameters: list[Parameters] = []
    for network in task.networks:
        try:
            parameters.append(_checked(network))
            networks.append(network)
        except UserError as error:
            yield Refused(network.identity, str(error))

    def part(positions: list[int]) -> list[Measurement]:
        return measure(_subject([networks[i] for i in positions], [parameters[i] for i in positions], device))

    found = memory.in_halves(part, list(range(len(networks)))) if networks else ()
    for network, measurement in zip(networks, found, strict=True):
        yield Measured(network.identity, measurement)


def _checked(network: ToMeasure) -> Parameters:
    """A network's parameters. Raises UserError if they are not its config's, or it does not begin as it should."""
    about = datasets.describe(network.config.dataset)
    initial = stack.build([network.config], about.input_shape, about.classes, torch.device("cpu")).network(0)
    weights.check_start(initial, network.theta0)
    return weights.load(Path(network.weights), {name: p.shape for name, p in initial.items()})


def _subject(networks: Sequence[ToMeasure], parameters: Sequence[Parameters], device: torch.device) -> MeasureInputs:
    configs = [network.config for network in networks]
    precision.prepare(configs[0].numerics)
    samples = stack_data.build(configs, device)
    about = samples.shared.description
    initial = stack.build(configs, about.input_shape, about.classes, device)
    trained = {name: torch.stack([one[name] for one in parameters]).to(device) for name in initial.parameters}
    return MeasureInputs(
        Stack(initial.model, trained, initial.reference),
        initial,
        samples,
        LOSSES[configs[0].loss.name].loss,
        configs[0].measures,
        [config.seeds.init for config in configs],
        [network.crossings for network in networks],
    )


def _part(subject: MeasureInputs, positions: list[int]) -> MeasureInputs:
    keep = torch.tensor(positions, device=subject.trained.device)
    return replace(
        subject,
        trained=subject.trained.select(keep),
        initial=subject.initial.select(keep),
        data=subject.data.select(keep),
        seeds=[subject.seeds[i] for i in positions],
        crossings=[subject.crossings[i] for i in positions] if subject.crossings else (),
    )


def _measure(subject: MeasureInputs) -> list[Measurement]:
    n = len(subject.trained)
    finite = _finite(subject.trained)
    options = measures.options(subject.options.names, subject.options)
    values: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for name in options:
        started = time.perf_counter()
        for (_, layer), found in measures.compute([name], subject).items():
            # Infinite is a statement about a network (no margin), but not about one that has diverged.
            values[names.measure(name, layer)] = found.where(finite | ~found.isinf(), torch.nan).tolist()
        seconds[name] = (time.perf_counter() - started) / n
    return [Measurement({key: own[i] for key, own in values.items()}, options, seconds) for i in range(n)]


def _finite(trained: Stack) -> Tensor:
    """[N] on the CPU: whether all parameters of a network are finite."""
    each = [p.flatten(1).isfinite().all(1) for p in trained.parameters.values()]
    return torch.stack(each).all(0).cpu()
