"""What a command asks for: its networks, checked as far as can be without training, each with its identity.

And how a sweep becomes jobs: what changes no tensor shape is fused into one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from initdist import catalogue, models
from initdist.config import expansion, families, identity, stops
from initdist.config.schema import STACKABLE, Config, ModelConfig, OptimizerConfig
from initdist.config.validation import leaves
from initdist.data import datasets
from initdist.data.datasets import Description
from initdist.errors import ConfigError, NotDownloaded
from initdist.secrets import masked
from initdist.sweeps import free_distances
from initdist.sweeps.summary import counted


@dataclass(frozen=True)
class Network:
    """One network to train: the unit of record."""

    config: Config
    identity: str
    data: Description

    @property
    def name(self) -> str:
        return identity.run_name(self.config)


def networks(cfg: DictConfig) -> list[Network]:
    """The networks of a composed, unresolved config, without repetitions. Raises UserError before anything is done."""
    return unique(map(network, free_distances.resolved(expansion.networks(cfg))))


def unique(planned: Iterable[Network]) -> list[Network]:
    """Networks without repetitions.

    Raises ConfigError for values swept that tell no networks apart: one would count, and the others be dropped. And for
    two stores or experiments, since a sweep has one parent run.
    """
    known: dict[str, Network] = {}
    for one in planned:
        _refuse_difference(known.setdefault(one.identity, one).config, one.config)
        first, own = next(iter(known.values())).config.tracking, one.config.tracking
        if (first.uri, first.experiment) != (own.uri, own.experiment):
            raise ConfigError(
                f"tracking.uri and tracking.experiment must be the same for all networks of a command, got "
                f"{first.experiment!r} in {masked(first.uri)} and {own.experiment!r} in {masked(own.uri)}; "
                f"run one command for each"
            )
    return list(known.values())


def _refuse_difference(one: Config, other: Config) -> None:
    if one == other:
        return
    for (key, a, _), (_, b, _) in zip(leaves(one), leaves(other), strict=True):
        if a != b:
            raise ConfigError(
                f"{key} must be one value in a command, got {a!r} and {b!r}: it tells no networks apart, so one of "
                f"them would be dropped; run one command for each value"
            )


@families.blamed()
def network(config: Config) -> Network:
    """Check one network's config against the world: its members of families, measures and data. Raises UserError."""
    if free_distances.is_open(config):
        raise ConfigError(
            f"constraint.of_free must be looked up in a tracking store, got {config.constraint.of_free!r} without one; "
            f"give constraint.radius, or train with the command line"
        )
    families.check_names()
    stops.check()
    chosen = {name: families.family(name)[getattr(config, families.SECTIONS[name]).name] for name in families.CHOSEN}
    _check_choice("model", config.model, chosen["models"].Config)
    _check_choice("optimizer", config.optimizer, chosen["optimizers"].Config)
    catalogue.check()
    catalogue.selected(config.measures)
    data = datasets.describe(config.dataset)
    if not config.dry_run:
        datasets.prepare(config.dataset)
    models.check(config.model, data.input_shape)
    return Network(config, identity.identity(config, data.fingerprint), data)


def to_download(networks: Iterable[Network]) -> list[str]:
    """What a dry run leaves to the command that it is about, in a line a dataset.

    Raises DatasetError where that command could not begin.
    """
    lines: dict[str, str] = {}
    for config in (network.config.dataset for network in networks):
        try:
            datasets.prepare(replace(config, download=False))
        except NotDownloaded:
            if not config.download:
                raise
            lines[config.name] = f"dataset {config.name} is not in {config.root} yet: it is downloaded first"
    return list(lines.values())


def shape(config: Config) -> tuple[tuple[str, Any], ...]:
    """What networks of one stack have in common: every result-affecting leaf that is not stackable."""
    leaves = identity.result_leaves(config)
    return tuple((key, value) for key, value in leaves.items() if key not in STACKABLE)


def stacks(networks: Iterable[Network]) -> list[list[Network]]:
    """Networks by their shape: those of one can train together."""
    groups: dict[tuple[tuple[str, Any], ...], list[Network]] = {}
    for one in networks:
        groups.setdefault(shape(one.config), []).append(one)
    return list(groups.values())


@dataclass(frozen=True)
class Job:
    """One job: its overrides and the networks it stands for."""

    overrides: tuple[str, ...]
    networks: tuple[Network, ...]


def grids(
    parser: OverridesParser,
    params: Sequence[str],
    arms: Sequence[Mapping[str, str]],
    arguments: Sequence[str],
    fuse: bool = True,
) -> list[tuple[str, ...]]:
    """Override lists of the jobs: of the sweep that the config has, in each of its arms. What the command line says of
    a key counts instead, and what it says of a group instead of all that an arm says of it. Raises ConfigError."""
    asked = parser.parse_overrides(list(arguments))
    groups = {override.get_key_element() for override in asked}
    jobs: dict[tuple[str, ...], None] = {}
    for arm in arms or [{}]:
        own = [f"{key}={value}" for key, value in arm.items() if key.partition(".")[0] not in groups]
        given = {one.get_key_element(): one for one in [*parser.parse_overrides([*params, *own]), *asked]}
        check(given)
        jobs |= dict.fromkeys(fused(list(given.values()), fuse))
    return list(jobs)


def fused(overrides: Sequence[Override], fuse: bool) -> list[tuple[str, ...]]:
    """Override lists of the jobs: the grid over what changes a tensor shape, with `vary` filled in for the rest.

    Without `fuse`, the grid over everything. Raises ConfigError for a sweep over no listed values.
    """
    fixed: list[str] = []
    axes: list[list[str]] = []
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed.append(f"{key}={override.get_value_element_as_str()}")
            continue
        if not override.is_discrete_sweep():
            raise ConfigError(f"{key} must be swept over listed values, got {override.input_line}")
        values = list(dict.fromkeys(override.sweep_string_iterator()))
        if fuse and key in STACKABLE:
            fixed.append(f"vary.{key}=[{','.join(values)}]")
        else:
            axes.append([f"{key}={value}" for value in values])
    return [(*fixed, *combination) for combination in itertools.product(*axes)]


def check(given: Mapping[str, Override]) -> None:
    """Refuse what cannot mean what was intended. Raises ConfigError."""
    experiment = given.get("experiment")
    if experiment is not None and experiment.is_sweep_override():
        raise ConfigError(
            f"experiment must be a single name, got {experiment.input_line}: "
            f"an experiment's own sweep is read before the jobs are made; run one command for each"
        )
    refuse_set_and_varied({key: str(override.input_line or key) for key, override in given.items()})


def refuse_set_and_varied(given: Mapping[str, str]) -> None:
    """A stackable key given both by itself and under `vary` has no meaning. Raises ConfigError."""
    for key in STACKABLE:
        if key in given and f"vary.{key}" in given:
            raise ConfigError(
                f"{key} must not be both set and varied, got {given[key]} and {given[f'vary.{key}']}; give one of them"
            )


def describe(jobs: Sequence[Job]) -> str:
    """`3 jobs of 15 networks (45 in all)`."""
    sizes = [len(job.networks) for job in jobs]
    each = f"{sizes[0]}" if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"
    return f"{counted(len(jobs), 'job')} of {each} network{'' if max(sizes) == 1 else 's'} ({sum(sizes)} in all)"


def log(hydra: Any) -> str:
    """Where Hydra writes the log of a job, from its config."""
    return str(Path(hydra.runtime.output_dir) / f"{hydra.job.name}.log")


def _check_choice(group: str, own: ModelConfig | OptimizerConfig, wanted: type) -> None:
    if type(own) is not wanted:
        raise ConfigError(
            f"{group}.name must be that of the chosen {group} config, got {own.name!r}; "
            f"choose the {group} with {group}={own.name}"
        )
