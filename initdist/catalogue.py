"""The measures as their catalogue file knows them, and which of them a run has: without importing torch."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initdist import names
from initdist.config import families
from initdist.config.registry import unknown
from initdist.errors import ConfigError
from initdist.paths import measure_catalogue

if TYPE_CHECKING:
    from initdist.config.schema import MeasuresConfig

Options = Mapping[str, Mapping[str, Any]]  # measure -> the options that its value is computed with


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Measure -> what the catalogue says of it, in the order of the registry.

    Where other packages have measures, these are imported, and torch with them.
    """
    own = {one["name"]: one for one in _own()}
    if all(isinstance(place, str) for place in families.found("measures").values()):
        return own
    return own | importlib.import_module(f"{families.PACKAGES['measures']}._documents").foreign()


@cache
def _own() -> list[dict[str, Any]]:
    """What the file says, a measure of ours each."""
    listed: list[dict[str, Any]] = json.loads(measure_catalogue().read_text(encoding="utf-8"))["measures"]
    return listed


@cache
def defined() -> list[tuple[str, str]]:
    """Name and group of each measure in our files, in order, read without importing them, and torch with them."""
    files = Path(__file__).parent.joinpath("measures").glob("[!_]*.py")
    return sorted(one for file in files for one in read(file.read_text(encoding="utf-8")))


def read(source: str) -> list[tuple[str, str]]:
    """Name and group of each measure in the source of a file."""
    found = re.findall(r"^@(?:measures\.)?measure\((.*?)^def (\w+)", source, re.MULTILINE | re.DOTALL)
    return [(name, "".join(re.findall(r"""group=["'](\w*)""", given))) for given, name in found]


@cache
def check() -> None:
    """Raises ConfigError for measures that are not as they must be: those of other packages, and ours where there are
    others than the catalogue knows. Only then are they imported."""
    if defined() != sorted((one["name"], one["group"]) for one in _own()):
        families.family("measures").check_own()
    for name, place in families.found("measures").items():
        if not isinstance(place, str):
            families.family("measures")[name]


def selected(config: MeasuresConfig) -> dict[str, dict[str, Any]]:
    """The measures that a config's groups and names stand for, each with its options. Raises ConfigError."""
    check_selection(config.names, entries())
    return {
        name: options(config, one)
        for name, one in entries().items()
        if {name, one["group"], names.ALL_MEASURES} & {*config.names}
    }


def check_selection(selection: Iterable[str], known: Iterable[str]) -> None:
    """Raises ConfigError for what is neither a known measure nor a group."""
    every = {*known, *names.MEASURE_GROUPS, names.ALL_MEASURES}
    for entry in selection:
        if entry in every:
            continue
        if entry in dict(defined()):
            raise ConfigError(
                f"measures.names must be in the catalogue of measures, got {entry!r}, which is new: "
                f"python -m initdist.measures writes the catalogue"
            )
        raise ConfigError(unknown("measures.names", entry, every))


def options(config: MeasuresConfig, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a measure's value is computed with: the options that its entry names, and its version where that is above 1.

    Runs measured before a measure had versions have its version 1.
    """
    found = {key: getattr(config, key) for key in entry["options"]}
    return found if entry["version"] == 1 else found | {"version": entry["version"]}


def recorded(tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The measures that a run's tags say it has, those undefined for its network too. None where no tag can be read."""
    try:
        found = json.loads(tags.get(names.MEASURES, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def missing(wanted: Options, tags: Mapping[str, str]) -> list[str]:
    """Those measures that a run lacks, or that were computed with other options."""
    have = recorded(tags)
    return [name for name, options in wanted.items() if have.get(name) != options]
