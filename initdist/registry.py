"""Discovery by walking a package and its entry points: a new model is one new file, with nothing central to edit."""

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from initdist.errors import ConfigError


class Broken:
    """Stands for a plugin that could not be imported: only asking for it is an error."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error = error


@cache
def entries(package: str) -> dict[str, ModuleType | Broken]:
    """Name -> module: every public module directly inside a package, and every entry point of the group of its name.

    A module's name is the config's `name`. Raises ConfigError where two have the same.
    """
    path = importlib.import_module(package).__path__
    own = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))
    found: dict[str, ModuleType | Broken] = {name: importlib.import_module(f"{package}.{name}") for name in own}
    for point in entry_points(group=package):
        if point.name in found:
            raise ConfigError(f"{point.name} of {package} must have a name of its own, got {point.value} beside ours")
        try:
            found[point.name] = point.load()
        except Exception as error:  # whatever a plugin does wrong, the rest must go on
            found[point.name] = Broken(point.value, error)
    return found


def modules(package: str) -> dict[str, ModuleType]:
    """The entries that could be imported."""
    return {name: entry for name, entry in entries(package).items() if isinstance(entry, ModuleType)}


def lookup(package: str, key: str, name: str) -> ModuleType:
    """The module that a config names. Raises ConfigError with the nearest known names."""
    known = entries(package)
    if name not in known:
        raise ConfigError(unknown(key, name, known))
    entry = known[name]
    if isinstance(entry, Broken):
        raise ConfigError(f"{key}={name} needs {entry.name}, which cannot be imported: {entry.error!r}")
    return entry


def unknown(key: str, name: str, known: object) -> str:
    """Message for a name that is not registered, with the nearest one that is."""
    options = sorted(map(str, known))  # type: ignore[call-overload]
    return f"{key} must be one of {', '.join(options)}, got {name!r}{nearest(name, options)}"


def nearest(name: str, options: Sequence[str]) -> str:
    """`; did you mean mlp?`, or nothing."""
    near = difflib.get_close_matches(name, options, n=1)
    return f"; did you mean {near[0]}?" if near else ""
