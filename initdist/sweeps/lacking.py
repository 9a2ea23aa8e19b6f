"""Networks that have been trained and are to be measured: which, what each lacks, and in which stacks."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from initdist import catalogue, names, tracking
from initdist.cli import compose
from initdist.cli.measure_config import MeasureConfig
from initdist.cli.overrides import quoted
from initdist.cli.where import conditions as conditions_of
from initdist.cli.where import matches, where_schema
from initdist.config.schema import STACKABLE, Config, MeasuresConfig, TrackingConfig
from initdist.config.validation import check_rules
from initdist.errors import ConfigError, DeviceError, UserError, nearest
from initdist.paths import default_tracking_uri
from initdist.sweeps import planning
from initdist.sweeps.summary import counted, duration

SHOWN = 10  # sweeps that an error message lists


@dataclass(frozen=True)
class Todo:
    """A finished network that lacks measures: those that `measures.names` of its config names."""

    run: Any
    network: planning.Network

    @property
    def label(self) -> str:
        return label(self.run)


@dataclass
class Found:
    """Finished networks by what is to be done with them."""

    todo: list[Todo] = field(default_factory=list)
    complete: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # label -> why it cannot be measured here

    @property
    def total(self) -> int:
        return len(self.todo) + self.complete + len(self.refused)


def settings(
    measures: Sequence[str],
    options: Mapping[str, Any],
    uri: str,
    experiment: str,
    sweep: str | None,
    where: Mapping[str, Any],
    device: str,
    workers: int,
) -> MeasureConfig:
    """What the command line would compose from these values. Raises ConfigError that names key, rule and value."""
    own = MeasureConfig(sweep=sweep, where=where_schema()(), device=device, workers=workers)
    own.dataset.root = compose.data_root()
    own.tracking.uri, own.tracking.experiment = uri, experiment
    values = {"measures.names": list(measures)} | {f"measures.{key}": value for key, value in options.items()}
    for key, value in [*values.items(), *((f"where.{key}", value) for key, value in where.items())]:
        try:
            _set(own, key, value)
        except AttributeError:
            raise ConfigError(f"{key} must be a key of the configuration, got {key}={value!r}") from None
    check_rules(own)
    return own


def label(run: Any) -> str:
    """What people find a run by."""
    return f"{run.info.run_name} (run {run.info.run_id})"


def find(store: tracking.Store, settings: MeasureConfig) -> Found:
    """The finished networks that the settings mean. Raises UserError if there are none, or for an unknown measure."""
    wanted = catalogue.selected(settings.measures)
    found, configs = Found(), _Configs(settings)
    chosen = _chosen(store, settings)
    lacks = {one.finished.run_id: catalogue.missing(wanted, {names.MEASURES: one.finished.measures}) for one in chosen}
    todo = [one for one in chosen if lacks[one.finished.run_id]]
    found.complete = len(chosen) - len(todo)
    for run in tracking.runs_of(store, todo):
        try:
            network = planning.network(configs.of(run.data.params))
            if network.identity != run.data.tags[names.IDENTITY]:
                raise UserError("its config or its data are not those of this version of initdist, or of this machine")
            if settings.dry_run:
                planning.to_download([network])  # raises where the command itself would refuse the network
        except (UserError, KeyError) as error:
            found.refused[label(run)] = str(error)
            continue
        network.config.measures = replace(settings.measures, names=lacks[run.info.run_id])
        found.todo.append(Todo(run, network))
    return found


def _chosen(store: tracking.Store, settings: MeasureConfig) -> list[tracking.Selectable]:
    """The networks that the settings mean, oldest first."""
    conditions = dict(conditions_of(settings.where))
    networks = tracking.selectable(store, conditions)
    if not networks:
        raise UserError(f"tracking.experiment must hold finished networks, got {store.experiment!r} in {store.place}")
    if settings.sweep is not None:
        members = tracking.sweep_identities(store, settings.sweep)
        if members is None:
            there = sorted({one.finished.sweep for one in networks if one.finished.sweep})
            listed = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "")
            raise ConfigError(
                f"sweep must be one of the experiment {store.experiment!r}, which has {listed or 'none'}, got "
                f"{settings.sweep!r}{nearest(settings.sweep, there)} (initdist-ls sweeps tells what varies in each)"
            )
        networks = [one for one in networks if one.identity in members or one.finished.sweep == settings.sweep]
    chosen = [one for one in networks if matches(one.params, conditions)]
    if not chosen:
        raise UserError(f"no finished network of {store.experiment!r} is meant by {_told(settings, conditions)}")
    return chosen[::-1]


def _told(settings: MeasureConfig, conditions: Mapping[str, list[Any]]) -> str:
    given = {"sweep": settings.sweep} if settings.sweep is not None else {}
    given |= {f"where.{key}": ",".join(map(str, values)) for key, values in conditions.items()}
    return " ".join(f"{key}={value}" for key, value in given.items())


class _Configs:
    """The configs of runs, with the data of this machine. Those that differ in stackable values alone share the work
    of composing; that each is the run's own is seen by its identity."""

    def __init__(self, settings: MeasureConfig) -> None:
        self.settings = settings
        self.known: dict[frozenset[tuple[str, str]], Config] = {}

    def of(self, params: Mapping[str, str]) -> Config:
        shape = frozenset((key, "" if key in STACKABLE else value) for key, value in params.items())
        if shape not in self.known:
            self.known[shape] = compose.from_params(params)
        config = copy.deepcopy(self.known[shape])
        for key in STACKABLE.keys() & params.keys():
            try:
                _set(config, key, None if params[key] == "None" else STACKABLE[key](params[key]))
            except ValueError:
                raise ConfigError(f"{key} must be a number, got {params[key]!r}") from None
        own = self.settings.dataset
        config.dataset = replace(config.dataset, root=own.root, download=own.download, cache=own.cache)
        config.dry_run = self.settings.dry_run
        return config


def _set(config: Any, key: str, value: Any) -> None:
    *sections, leaf = key.split(".")
    for section in sections:
        config = getattr(config, section)
    getattr(config, leaf)  # it must be there
    setattr(config, leaf, value)


def stacks(
    todo: Sequence[Todo], parts: Callable[[Sequence[Config]], list[tuple[int, ...]]]
) -> tuple[list[list[Todo]], list[tuple[Todo, str]]]:
    """The networks that are measured together, of one shape and lacking the same; and those that this machine cannot
    measure, with the reason. `parts` divides the networks of a shape."""
    groups: dict[Any, list[Todo]] = {}
    for one in todo:
        key = planning.shape(one.network.config), tuple(one.network.config.measures.names)
        groups.setdefault(key, []).append(one)
    together: list[list[Todo]] = []
    impossible: list[tuple[Todo, str]] = []
    for group in groups.values():
        try:
            together += [[group[i] for i in part] for part in parts([one.network.config for one in group])]
        except DeviceError as error:
            impossible += [(one, str(error)) for one in group]
    return together, impossible


def announce(found: Found) -> str:
    """What a command begins with: `60 networks: 12 lack measures (ntk_change), 48 have everything`."""
    line = f"{counted(found.total, 'network')}: {len(found.todo)} lack measures"
    if found.todo:
        line += f" ({_listed(found.todo)})"
    return f"{line}, {found.complete} have everything"


def _listed(todo: Sequence[Todo]) -> str:
    """The measures that any of these networks lacks, in the order of the catalogue."""
    return _names({name for one in todo for name in one.network.config.measures.names})


def _names(measures: Collection[str]) -> str:
    """Measures for people, in the order of the catalogue: a group's name where all of it is meant."""
    groups: dict[str, list[str]] = {}
    for name, one in catalogue.entries().items():
        groups.setdefault(one["group"], []).append(name)
    whole = {group: len(members) > 1 and {*members} <= {*measures} for group, members in groups.items()}
    return ", ".join(
        text
        for group, members in groups.items()
        for text in ([group] if whole[group] else [name for name in members if name in measures])
    )


def describe(store: tracking.Store, found: Found, workers: int) -> str:
    """The text of a dry run: what each network lacks, what cannot be measured, and what the rest will take."""
    from initdist.sweeps.cost import measuring

    lines = []
    for one in found.todo:
        lacks = one.network.config.measures.names
        what = _names(lacks)
        has = tracking.has_artifact(store, one.run, names.WEIGHTS_FILE)
        lines.append(f"  {one.label}  lacks {what}{'' if has else ', and has no weights to compute them from'}")
    lines += [f"  {name}  is refused: {reason}" for name, reason in found.refused.items()]
    lines.append(f"dry run: {announce(found)}")
    lines += planning.to_download(one.network for one in found.todo)
    if found.todo:
        seconds = measuring([one.network for one in found.todo], workers)
        lines.append(
            f"to measure: very roughly {duration(seconds)} on {workers} CPU process{'es'[: 2 * (workers > 1)]}"
        )
    return "\n".join(lines)


def advice(finished: Sequence[tracking.Finished], config: Config, sweep: str, store: tracking.Store) -> str:
    """What a training command says where networks of its sweep had finished before, without measures that its config
    names: how many, which, and the command for it. Empty where none lacks any."""
    wanted = catalogue.selected(config.measures)
    each = [lacks for one in finished if (lacks := catalogue.missing(wanted, {names.MEASURES: one.measures}))]
    if not each:
        return ""
    which = _names({name for lacks in each for name in lacks})
    who = "1 network that had finished lacks" if len(each) == 1 else f"{len(each)} networks that had finished lack"
    return f"{who} measures ({which}). To compute them:\n  {command(config, sweep, store)}"


def store_keys(store: tracking.Store) -> dict[str, str]:
    """The keys by which a command finds a store that is not the default one."""
    keys = {}
    if store.experiment != TrackingConfig.experiment:
        keys["tracking.experiment"] = store.experiment
    if store.uri != default_tracking_uri("."):
        keys["tracking.uri"] = store.place
    return keys


def command(config: Config, sweep: str, store: tracking.Store) -> str:
    """The shell line that computes what networks of a sweep lack of the measures that a config names."""
    own = config.measures
    standard = MeasuresConfig()
    values: dict[str, Any] = {"sweep": sweep}
    for key, value in vars(own).items():
        if key not in ("names", "history") and value != getattr(standard, key):
            values[f"measures.{key}"] = value
    values |= store_keys(store)
    if Path(config.dataset.root) != Path(compose.data_root()):
        values["dataset.root"] = config.dataset.root
    given = [f"measures={','.join(own.names)}", *(f"{key}={quoted(value)}" for key, value in values.items())]
    return shlex.join(["python", "-m", "initdist.measure", *given])
