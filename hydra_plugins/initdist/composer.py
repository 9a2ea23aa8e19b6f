"""Composing the jobs of a sweep: once for all that only set other values of the same keys."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class Composer:
    """A config loader of Hydra for one sweep, to the sweeper and to a launcher. Hydra takes a quarter of a second to
    compose a job; here a job like another takes the time of a copy, and its config is the same in every key."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._before: dict[Any, DictConfig] = {}
        self._groups: dict[str, bool] = {}  # what else Hydra looks up in all folders, for each key of each job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __reduce__(self) -> Any:
        """In another process, as with Joblib or submitit, it is the loader again."""
        return _same, (self._loader,)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The config of a job, with Hydra's own node."""
        overrides = list(sweep_overrides)
        parsed = OverridesParser.create().parse_overrides(overrides)
        values = {one.key_or_group: one for one in parsed if self._sets_value(one)}
        rest = (*values, *(one.input_line for one in parsed if one.key_or_group not in values))
        if _overlap([one.key_or_group for one in parsed]):  # their order matters
            return self._loader.load_sweep_config(master_config, overrides)
        if rest in self._before:
            config = copy.deepcopy(self._before[rest])
            try:
                _change(config, values, parsed)
            except OmegaConfBaseException:  # Hydra has better words for it
                return self._loader.load_sweep_config(master_config, overrides)
            OmegaConf.copy_cache(from_config=master_config, to_config=config)  # one time for all jobs, as in `${now:}`
            return config
        config = self._loader.load_sweep_config(master_config, overrides)
        self._before[rest] = copy.deepcopy(config)  # whoever asked may change it
        return config

    def _sets_value(self, override: Override) -> bool:
        """Whether an override is `key=value` of a single value: no choice of a group, nothing added or deleted."""
        plain = override.type == OverrideType.CHANGE and override.package is None and not override.is_hydra_override()
        simple = isinstance(override.value(), (str, int, float, bool, type(None)))
        return plain and simple and not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        if key not in self._groups:
            self._groups[key] = bool(self._loader.get_group_options(key))
        return self._groups[key]


def _same(loader: ConfigLoader) -> ConfigLoader:
    return loader


def _overlap(keys: Sequence[str]) -> bool:
    """Whether a key is there twice, or within another."""
    return len(set(keys)) < len(keys) or any(a != b and a.startswith(f"{b}.") for a in keys for b in keys)


def _change(config: DictConfig, values: dict[str, Override], parsed: Sequence[Override]) -> None:
    """Make a job's config that of another, as Hydra does with overrides."""
    for key, one in values.items():
        OmegaConf.update(config, key, one.value(), merge=True)
    own = [one for one in parsed if not one.is_hydra_override()]
    job = config.hydra.job
    config.hydra.overrides.task = [one.input_line for one in own]
    job.override_dirname = get_overrides_dirname(
        overrides=own,
        kv_sep=job.config.override_dirname.kv_sep,
        item_sep=job.config.override_dirname.item_sep,
        exclude_keys=job.config.override_dirname.exclude_keys,
    )
