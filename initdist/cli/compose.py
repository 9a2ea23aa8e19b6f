"""Configs as Hydra composes them: the typed schemas that it fills, and a config again from what a run says of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist import models, names
from initdist.cli import messages
from initdist.cli.overrides import quoted
from initdist.config import expansion, families, schema
from initdist.errors import ConfigError
from initdist.paths import conf_dir, store_uri
from initdist.secrets import masked

GROUPS = {
    "dataset": schema.DatasetConfig,
    "noise": schema.NoiseConfig,
    "loss": schema.LossConfig,
    "optimizer": schema.OptimizerConfig,
    "constraint": schema.ConstraintConfig,
    "measures": schema.MeasuresConfig,
}


def register() -> None:
    """Make `/schema/...` known to Hydra. Safe to call twice."""
    OmegaConf.register_new_resolver("default_store", lambda: masked(store_uri()), replace=True)
    store = ConfigStore.instance()
    store.store(group="schema", name="root", node=schema.Config, package="_global_")
    for group, node in GROUPS.items():
        store.store(group="schema", name=group, node=node)
    for group, nodes in chosen().items():
        for name, node in nodes.items():
            store.store(group=f"schema/{group}", name=name, node=node)


def chosen() -> dict[str, dict[str, type]]:
    """The groups whose members have configs of their own: group -> name -> config."""
    optimizers = families.family("optimizers").sound()
    return {"model": models.schemas(), "optimizer": {name: one.Config for name, one in optimizers.items()}}


def configs(*overrides: str) -> list[schema.Config]:
    """Those that a command line would describe."""
    return expansion.networks(composed(*overrides))


def composed(*overrides: str, config_dir: str | None = None, hydra: bool = False) -> DictConfig:
    """The config that a command line would compose, not yet resolved; with Hydra's own section if that is asked for.

    config_dir: a folder with further files, as `--config-dir` names it.
    """
    further = [f"hydra.searchpath=[{quoted(f'file://{os.path.abspath(config_dir)}')}]"] if config_dir else []
    with _beside_the_callers_hydra():
        register()
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            return compose("config", overrides=[*further, *overrides], return_hydra_config=hydra)


@contextlib.contextmanager
def _beside_the_callers_hydra() -> Iterator[None]:
    """A program or a notebook that uses Hydra itself finds it, and its own `schema/...`, as they were."""
    hydra, version, store = GlobalHydra.instance(), VersionBase.instance(), ConfigStore.instance()
    kept = hydra.hydra, version.version_base, store.repo.get("schema")
    hydra.clear()
    store.repo["schema"] = {}
    try:
        yield
    finally:
        GlobalHydra.set_instance(hydra)  # initialize_config_dir leaves a copy
        hydra.hydra, version.version_base, schemas = kept
        if schemas is not None:
            store.repo["schema"] = schemas


def keys() -> Iterator[str]:
    """Dotted names of all that a config can have, whatever is chosen."""
    yield from messages.keys(schema.Config)
    for group, nodes in chosen().items():
        for node in nodes.values():
            yield from messages.keys(node, f"{group}.")
    yield from (f"vary.{key}" for key in schema.STACKABLE)
    yield "experiment"


def from_params(params: Mapping[str, str]) -> schema.Config:
    """The config of a tracked network from its params. A field added since the run has its neutral value.

    What a store says is text: it is never interpolated, and it sets nothing that a network's params do not say. Raises
    ConfigError for params that are no config of this version.
    """
    try:
        groups = {**GROUPS, **{group: nodes[params[f"{group}.name"]] for group, nodes in chosen().items()}}
        nodes = {group: OmegaConf.structured(node) for group, node in groups.items()}
        typed = OmegaConf.merge(OmegaConf.structured(schema.Config), nodes, _UNUSED)
        for key, value in {**_neutral(groups), **_plain(params, groups)}.items():
            OmegaConf.update(typed, key, None if value == "None" else value)
        assert isinstance(typed, DictConfig)
        (config,) = expansion.networks(typed)
    except (KeyError, OmegaConfBaseException) as error:
        raise ConfigError(f"the run's params are no config of this version: {error}") from error
    return config


def _plain(params: Mapping[str, str], groups: Mapping[str, type]) -> dict[str, str]:
    """Those params that describe a network. Raises ConfigError for one that no config has, and for an interpolation."""
    nodes = {**groups, "stop": schema.StopConfig, "seeds": schema.SeedsConfig, "numerics": schema.NumericsConfig}
    known = {f"{section}.{spec.name}": spec for section in schema.RESULT_SECTIONS for spec in fields(nodes[section])}
    for key, value in params.items():
        if key not in known and key != names.SEED:
            raise ConfigError(f"the run's params are no config of this version: {key} is no key of the config")
        if "${" in value:
            raise ConfigError(f"the run's params are no config: {key} must be a plain value, got {value!r}")
    plain = {key for key, spec in known.items() if spec.metadata.get("identity", True)}
    return {key: value for key, value in params.items() if key in plain or key == names.SEED}


def data_root() -> str:
    """Where datasets are on this machine, unless a command says otherwise."""
    return os.environ.get("INITDIST_DATA", "data")


# What a config needs to resolve and no result depends on.
_UNUSED = {
    "dataset": {"root": data_root()},
    "loss": {spec.name: 1.0 for spec in fields(schema.LossConfig) if not spec.metadata.get("identity", True)},
    "tracking": {"uri": ""},
}


def _neutral(groups: Mapping[str, type]) -> dict[str, Any]:
    """The neutral value of every field that was added to the configs after runs existed."""
    return {
        f"{group}.{spec.name}": spec.metadata["neutral"]
        for group, node in {**groups, "stop": schema.StopConfig}.items()
        for spec in fields(node)
        if "neutral" in spec.metadata
    }
