"""A tracked network from its run: its config, its data, and its trained and initial modules."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist import compose, models, names
from initdist import config as configs
from initdist.errors import ConfigError, UserError
from initdist.paths import default_tracking_uri
from initdist.schema import Config, LossConfig, StopConfig
from initdist.tracking.store import client

if TYPE_CHECKING:
    from torch import Tensor, nn


def load_network(run_id: str, tracking_uri: str | None = None) -> tuple[nn.Module, nn.Module]:
    """The trained network of a run and its initial one, as torch modules in evaluation mode on the CPU.

    Both expect inputs as `load_data` gives them. Raises UserError for a run without weights, for weights that do not
    match its config, and where the initial parameters drawn here are not those that the run began with.
    """
    from initdist import datasets, initialization, training

    config, run = _run_config(run_id, tracking_uri)
    about = datasets.describe(config.dataset)
    module = models.build(config.model, about.input_shape, about.classes)
    theta0 = initialization.draw(config, {name: tuple(p.shape) for name, p in module.named_parameters()})
    if training.theta_hash(theta0) != run.data.tags[names.THETA0]:
        raise UserError(f"run {run_id}: the initial parameters drawn here are not those of the run ({_versions(run)})")
    initial = models.build(config.model, about.input_shape, about.classes)
    _fill(initial, theta0, run_id)
    _fill(module, _weights(run_id, tracking_uri), run_id)
    return module, initial


def load_data(run_id: str, tracking_uri: str | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a run's network was trained and tested on: training inputs [m, K, H, W], normalized as for the network, the
    labels trained on [m], test inputs [T, K, H, W] and clean test labels [T]."""
    import torch

    from initdist import data

    config, _ = _run_config(run_id, tracking_uri)
    samples = data.build([config], torch.device("cpu"))
    inputs, labels = samples.train_slice(0, samples.train_size)
    test_inputs, test_labels = samples.test_slice(0, samples.test_size)
    return inputs[0], labels[0], test_inputs[0], test_labels[0]


def _client(tracking_uri: str | None) -> Any:
    return client(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri("."))


def _run_config(run_id: str, tracking_uri: str | None) -> tuple[Config, Any]:
    """The config that a run's params describe, with this machine's dataset root."""
    run = _client(tracking_uri).get_run(run_id)
    if run.data.tags.get(names.KIND) != names.KIND_NETWORK or run.info.status != "FINISHED":
        raise UserError(f"run {run_id} must be the finished run of a network, got status {run.info.status}")
    return from_params(run.data.params), run


def _weights(run_id: str, tracking_uri: str | None) -> dict[str, Tensor]:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
        try:
            file = _client(tracking_uri).download_artifacts(run_id, names.WEIGHTS_FILE, folder)
        except (MlflowException, OSError) as error:
            raise UserError(f"run {run_id} has no weights: it was trained with tracking.save_weights=false") from error
        return read_weights(Path(file), run_id)


def read_weights(file: Path, run_id: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises UserError for one that is damaged."""
    from safetensors.torch import load_file

    try:
        weights: dict[str, Tensor] = load_file(file)
    except Exception as error:  # safetensors has no common base for what can be wrong with a file
        raise UserError(f"run {run_id}: {names.WEIGHTS_FILE} is corrupt: {error}") from error
    return weights


def _fill(module: nn.Module, parameters: Mapping[str, Tensor], run_id: str) -> None:
    try:
        module.load_state_dict(parameters)
    except RuntimeError as error:
        raise UserError(f"run {run_id}: its weights do not match its config: {error}") from error
    module.eval()


def _versions(run: Any) -> str:
    import numpy as np

    return f"trained by initdist {run.data.tags.get(names.VERSION)}; numpy here is {np.__version__}"


def from_params(params: Mapping[str, str]) -> Config:
    """The config of a tracked network from its params. A field added since the run has its neutral value.

    Raises ConfigError for params that are no config of this version.
    """
    try:
        groups = {**compose.GROUPS, "model": models.schemas()[params["model.name"]]}
        nodes = {group: OmegaConf.structured(schema) for group, schema in groups.items()}
        typed = OmegaConf.merge(OmegaConf.structured(Config), nodes, _UNUSED)
        for key, value in {**_neutral(groups), **params}.items():
            OmegaConf.update(typed, key, None if value == "None" else value)
        assert isinstance(typed, DictConfig)
        (config,) = configs.networks(typed)
    except (KeyError, OmegaConfBaseException) as error:
        raise ConfigError(f"the run's params are no config of this version: {error}") from error
    return config


# What a config needs to resolve and no result depends on.
_UNUSED = {
    "dataset": {"root": os.environ.get("INITDIST_DATA", "data")},
    "loss": {spec.name: 1.0 for spec in fields(LossConfig) if not spec.metadata.get("identity", True)},
    "tracking": {"uri": ""},
}


def _neutral(groups: Mapping[str, type]) -> dict[str, Any]:
    """The neutral value of every field that was added to the configs after runs existed."""
    return {
        f"{group}.{spec.name}": spec.metadata["neutral"]
        for group, schema in {**groups, "stop": StopConfig}.items()
        for spec in fields(schema)
        if "neutral" in spec.metadata
    }
