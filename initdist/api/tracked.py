"""Networks trained from Python as by the command: each with its run in the store of its config."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from initdist import names, tracking
from initdist.api import loading
from initdist.api.results import NetworkResult, unpacked
from initdist.sweeps import planning
from initdist.tracking.store import client

if TYPE_CHECKING:
    from initdist.sweeps.planning import Network

COMMAND = "initdist.train_networks(..., track=True)"


def train(planned: Sequence[Network], device: str, workers: int, progress: bool) -> list[NetworkResult]:
    """Train what the store lacks of these networks, and read all of them from it, in the order in which they are given.

    Raises UserError and TrackingError where nothing can begin, RuntimeError if a network failed or is in training by
    another process.
    """
    from initdist.sweeps import session, tracked_training

    settled = [_settled(one, device, workers) for one in planned]
    networks = planning.unique(settled)
    config = networks[0].config
    quiet = contextlib.nullcontext() if progress else contextlib.redirect_stderr(io.StringIO())
    told = io.StringIO()
    try:
        with (
            quiet,
            contextlib.redirect_stdout(told),
            session.running(networks, config.tracking, config.resume, command=COMMAND) as sweep,
        ):
            for group in planning.stacks(networks):
                tracked_training.train(group, sweep)
    except SystemExit as end:
        if end.code == 130:
            raise KeyboardInterrupt from None
        raise RuntimeError(told.getvalue().strip().rpartition("\n")[2] or "not all networks were trained") from None
    store = tracking.existing(config.tracking.uri, config.tracking.experiment)
    found = tracking.finished_among(store, [one.identity for one in networks])
    return [_result(one, store, found[one.identity].run_id) for one in settled]


def _settled(network: Network, device: str, workers: int) -> Network:
    """With the device and the processes that were asked for, which no result depends on."""
    return replace(network, config=replace(network.config, device=device, workers=workers))


def _result(network: Network, store: tracking.Store, run_id: str) -> NetworkResult:
    """A network as its run has it; without its weights where these are not kept."""
    import base64

    mlflow = client(store.uri)
    run = mlflow.get_run(run_id)
    history: dict[int, dict[str, float]] = {}
    for name in (name for name in run.data.metrics if not name.startswith(names.MEASURE)):
        for point in mlflow.get_metric_history(run_id, name)[:-1]:
            history.setdefault(point.step, {})[name] = point.value
    parameters = {}
    if network.config.tracking.save_weights:
        module, _ = loading.load_network(run_id, store.uri)
        parameters = {name.removeprefix("theta."): one.detach() for name, one in module.named_parameters()}
    bits = base64.b64decode(run.data.tags.get(names.TEST_CORRECT, ""))
    return NetworkResult(
        network.config,
        network.identity,
        run.data.tags[names.STOP_REASON],
        run.data.metrics,
        sorted(history.items()),
        parameters,
        unpacked(bits, network.data.test_size),
        run_id,
    )
