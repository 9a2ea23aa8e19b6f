"""Registers the typed schemas and the resolver of the default store, so that Hydra can compose `conf/`."""

from collections.abc import Iterator

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from initdist import mistakes, models
from initdist.config import schema
from initdist.paths import default_tracking_uri

GROUPS = {
    "dataset": schema.DatasetConfig,
    "noise": schema.NoiseConfig,
    "loss": schema.LossConfig,
    "optimizer": schema.OptimizerConfig,
    "measures": schema.MeasuresConfig,
}


def register() -> None:
    """Make `/schema/...` known to Hydra. Safe to call twice."""
    OmegaConf.register_new_resolver("default_store", lambda: default_tracking_uri("."), replace=True)
    store = ConfigStore.instance()
    store.store(group="schema", name="root", node=schema.Config, package="_global_")
    for group, node in GROUPS.items():
        store.store(group="schema", name=group, node=node)
    for name, node in models.schemas().items():
        store.store(group="schema/model", name=name, node=node)


def keys() -> Iterator[str]:
    """Dotted names of all that a config can have, whichever model is chosen."""
    yield from mistakes.keys(schema.Config)
    for node in models.schemas().values():
        yield from mistakes.keys(node, "model.")
    yield from (f"vary.{key}" for key in schema.STACKABLE)
    yield "experiment"
