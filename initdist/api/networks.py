"""initdist from Python: compose configs and train networks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initdist import names
from initdist.api import tracked
from initdist.api.results import NetworkResult, unpacked
from initdist.cli.overrides import in_full
from initdist.config.schema import Config
from initdist.errors import ConfigError
from initdist.sweeps.summary import Measurements

if TYPE_CHECKING:
    from initdist.sweeps.planning import Network


def network_configs(*overrides: str, config_dir: str | None = None) -> list[Config]:
    """The configs of the networks that a command line would train: `network_configs("model.width=64,256",
    "seed=range(0,3)")`, or those of an experiment file: `network_configs("experiment=width", "seed=0")`.

    config_dir: a folder with further config files, as `--config-dir` of the commands. Raises ConfigError, which names
    the key, the rule and the value, or the nearest name that there is.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from initdist.cli import compose, messages
    from initdist.config import expansion
    from initdist.sweeps import planning

    try:
        parser = OverridesParser.create()
        given = [in_full(override, r"measures|measures\.names") for override in overrides]
        fixed = [one.input_line for one in parser.parse_overrides(given) if not one.is_sweep_override()]
        whole = compose.composed(*filter(None, fixed), config_dir=config_dir, hydra=True)
        sweeper = whole.hydra.sweeper
        params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        jobs = planning.grids(parser, params, sweeper.get("arms") or (), given)
        return [config for job in jobs for config in expansion.networks(compose.composed(*job, config_dir=config_dir))]
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(messages.explained(error, compose.keys)) from None


def train_networks(
    configs: Iterable[Config],
    *,
    device: str = "auto",
    workers: int = 0,
    progress: bool = True,
    track: bool = False,
) -> list[NetworkResult]:
    """Train networks, those of one shape as stacks, and return their results in the order of the configs.

    track: as the command line does: each network's run is written to its config's `tracking.uri` and
    `tracking.experiment`, one that has finished there before is not trained again, and a network that was begun goes on
    where it was. `multirun_analysis.load_runs()` gives the runs then. Without it nothing is written to a store, and
    `results_frame` makes the same table of the results.

    Raises UserError before anything is trained for a config that cannot be, and RuntimeError if a network failed.
    """
    from initdist.sweeps import planning

    planned = [planning.network(config) for config in configs]
    if track:
        return tracked.train(planned, device, workers, progress)
    results: dict[str, NetworkResult] = {}
    for networks in planning.stacks(planned):
        together = {network.identity: network for network in networks}
        results |= _train_together(together, device, workers, progress)
    return [replace(results[network.identity], config=network.config) for network in planned]


def measure_runs(
    *measures: str,
    tracking_uri: str | None = None,
    experiment: str = "initdist",
    sweep: str | None = None,
    where: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int = 0,
    **options: Any,
) -> Measurements:
    """Compute what tracked networks lack of these measures (groups or names; all where none is given), from their
    weights, and add it to their runs: as `python -m initdist.measure`, and as safe to stop and repeat.

    `where` maps keys of their configs to a value or a list of values: `where={"model.width": [64, 256]}`. `options` are
    keys of `measures`: `draws=20`. Returns how many were measured, had everything, lack weights, were refused (each is
    named on stderr) and failed. Raises UserError and TrackingError where nothing can begin.
    """
    from initdist import paths, tracking
    from initdist.sweeps import backfill, hosts, lacking

    uri = paths.store_uri(tracking_uri)
    settings = lacking.settings(measures or ("all",), options, uri, experiment, sweep, where or {}, device, workers)
    with hosts.alone(uri):
        store = tracking.existing(uri, experiment)
        found = lacking.find(store, settings)
        counts = Measurements(found.total, found.complete, refused=len(found.refused))
        backfill.measure(store, found, settings, counts)
    return counts


def _train_together(
    networks: Mapping[str, Network], device: str, workers: int, progress: bool
) -> dict[str, NetworkResult]:
    """Train networks of one shape; identity -> result."""
    import contextlib

    from safetensors.torch import load_file

    from initdist.events import Failed, Result, ToTrain
    from initdist.sweeps import run_records
    from initdist.sweeps.progress import Display
    from initdist.workers import pool

    configs = {identity: network.config for identity, network in networks.items()}
    title = run_records.title(next(iter(configs.values())))
    results = {}
    with (
        tempfile.TemporaryDirectory(prefix="initdist-") as folder,
        Display(title, configs) if progress else contextlib.nullcontext() as display,
    ):
        files = {identity: str(Path(folder, identity, names.WEIGHTS_FILE)) for identity in networks}
        asked = [ToTrain(identity, configs[identity], files[identity]) for identity in networks]
        for event in pool.shared(device, workers).train(asked):
            if display is not None:
                display.show(event)
            if isinstance(event, Failed):
                raise RuntimeError(f"{len(event.networks)} networks failed: {event.error}")
            if isinstance(event, Result):
                identity, network = event.network, networks[event.network]
                correct = unpacked(event.correct, network.data.test_size)
                ended = event.stop_reason, event.metrics, event.history, load_file(files[identity]), correct
                results[identity] = NetworkResult(network.config, identity, *ended)
    return results
