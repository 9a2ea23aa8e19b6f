"""Discovery by walking a package: a new model or dataset is one new file, with nothing central to edit."""

import difflib
import importlib
import pkgutil
from functools import cache
from types import ModuleType

from initdist.errors import ConfigError


@cache
def modules(package: str) -> dict[str, ModuleType]:
    """Name -> module, for every public module directly inside a package. The module's name is the config's `name`."""
    path = importlib.import_module(package).__path__
    found = sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in found}


def lookup(package: str, key: str, name: str) -> ModuleType:
    """The module that a config names. Raises ConfigError with the nearest known names."""
    known = modules(package)
    if name not in known:
        raise ConfigError(unknown(key, name, known))
    return known[name]


def unknown(key: str, name: str, known: object) -> str:
    """Message for a name that is not registered, with the nearest one that is."""
    options = sorted(map(str, known))  # type: ignore[call-overload]
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{key} must be one of {', '.join(options)}, got {name!r}{hint}"
