"""The reference grid by plain PyTorch loops: one network after the other, in each of as many processes as cores.

The same networks as those of initdist: the same starting points, samples, noisy labels, orders and stop rule. Bare, or
with what initdist tracks: the same history, measures and weights of each network, by MLflow's client, a batch a run.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from plain import CHECK_FACTOR, Plain
from torch import nn

from initdist import cores, measures, models, names, network_configs, rng
from initdist.data import stack_data
from initdist.stacks import stack
from initdist.training import observer

if TYPE_CHECKING:
    from initdist.config.schema import Config

WIDTHS, LEVELS, SEEDS = (64, 128, 256), (0.0, 0.1, 0.25, 0.5, 1.0), range(10)
CPU = torch.device("cpu")


GRID = [(width, level, seed) for level, seed, width in product(reversed(LEVELS), SEEDS, reversed(WIDTHS))]


def train(
    settings: Sequence[str], store: Path | None = None, cases: Sequence[tuple[int, float, int]] = GRID
) -> list[dict[str, float]]:
    """Distance, epochs and test error of each network; tracked in a new SQLite store where one is named.

    cases: width, noise level and seed of each.
    """
    tracked = None
    if store is not None:
        from initdist import tracking

        prepared = tracking.prepare(f"sqlite:///{store}", "plain")
        tracked = prepared.uri, prepared.experiment_id
    with multiprocessing.get_context("spawn").Pool(cores.usable()) as pool:
        return pool.starmap(_network, [(settings, tracked, *case) for case in cases], chunksize=1)


def _network(
    settings: Sequence[str], tracked: tuple[str, str] | None, width: int, level: float, seed: int
) -> dict[str, float]:
    """One network to its threshold."""
    torch.set_num_threads(1)
    (one,) = network_configs(*settings, f"model.width={width}", f"noise.level={level}", f"seed={seed}")
    samples = stack_data.build([one], CPU)
    inputs, labels = (part[0] for part in samples.train_slice(0, samples.train_size))
    tests = [part[0] for part in samples.test_slice(0, samples.test_size)]
    about = samples.shared.description
    initial = stack.build([one], about.input_shape, about.classes, CPU)
    module = models.build(one.model, about.input_shape, about.classes)
    module.load_state_dict(initial.network(0))
    network = Plain(module, inputs, labels, one.optimizer.lr, one.optimizer.batch_size)
    recorded = observer.recorded_epochs(one.history, one.stop.max_epochs) if tracked else frozenset()
    every = max(1, samples.test_size // observer.CURVE_SAMPLES)
    curve = [part[::every] for part in tests]
    steps = -(-samples.train_size // one.optimizer.batch_size)
    history = [(0, _values(network, initial, curve))] if recorded else []
    for epoch in range(1, one.stop.max_epochs + 1):
        mean = network.epoch(torch.from_numpy(rng.epoch_order(one.seeds.order, epoch, samples.train_size)))
        if epoch in recorded:
            history.append((epoch * steps, _values(network, initial, curve)))
        if mean <= CHECK_FACTOR * one.stop.train_loss and network.evaluate(inputs, labels)[0] <= one.stop.train_loss:
            break
    final = _values(network, initial, tests)
    if tracked:
        trained = {name: p.detach()[None] for name, p in module.named_parameters()}
        subject = measures.MeasureInputs(stack.Stack(initial.model, trained), initial, samples)
        measured = measures.compute(one.measures.names, subject)
        own = {names.measure(name, layer): float(value[0]) for (name, layer), value in measured.items()}
        _track(tracked, one, module, history, {**final, **own, names.EPOCHS: epoch}, epoch * steps)
    return {"distance": final[names.DISTANCE], "epochs": epoch, "test_error": final[names.TEST_ERROR]}


def _values(network: Plain, initial: stack.Stack, tests: Sequence[torch.Tensor]) -> dict[str, float]:
    train_loss, train_error = network.evaluate(network.inputs, network.labels)
    test_loss, test_error = network.evaluate(*tests)
    start = initial.parameters
    moved = [(p.detach() - start[name][0]).double().square().sum() for name, p in network.module.named_parameters()]
    return {
        names.DISTANCE: float(sum(moved)) ** 0.5,
        names.TRAIN_LOSS: train_loss,
        names.TRAIN_ERROR: train_error,
        names.TEST_LOSS: test_loss,
        names.TEST_ERROR: test_error,
        names.GAP: test_error - train_error,
    }


def _track(
    tracked: tuple[str, str],
    one: Config,
    module: nn.Module,
    history: Sequence[tuple[int, dict[str, float]]],
    final: dict[str, Any],
    last: int,
) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from safetensors.torch import save_file

    from initdist.config import identity

    uri, experiment = tracked
    client = MlflowClient(uri)
    run = client.create_run(experiment)
    now = int(time.time() * 1e3)
    points = [*history, (last, final)]
    metrics = [Metric(name, value, now, step) for step, values in points for name, value in values.items()]
    params = [Param(key, str(value)) for key, value in identity.params(one).items()]
    client.log_batch(run.info.run_id, metrics, params)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / names.WEIGHTS_FILE
        save_file({name: p.detach() for name, p in module.named_parameters()}, file)
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id)
