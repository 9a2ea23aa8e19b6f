"""Modules under their old names, for packages that import them. They are there for one release, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "initdist.activations": "initdist.models._blocks",
    "initdist.blocks": "initdist.models._blocks",
    "initdist.datasets": "initdist.data.datasets",
    "initdist.input_noise": "initdist.data.noise._pixels",
    "initdist.losses": "initdist.stacks.losses",
    "initdist.noise": "initdist.data.noise.labels",
    "initdist.rules": "initdist.config.rules",
    "initdist.schema": "initdist.config.schema",
}


class Finder(MetaPathFinder, Loader):
    """Finds what a module has become. Asked last, so a module that is there is never hidden."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if new_name(name) else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill in the old module from the new one."""
        name = new_name(module.__name__)
        assert name is not None
        warnings.warn(f"{module.__name__} is now {name}, and leaves with the next release", DeprecationWarning, 2)
        new = importlib.import_module(name)
        module.__doc__ = new.__doc__
        module.__dict__.update({key: value for key, value in vars(new).items() if not key.startswith("__")})
        module.__dict__["__getattr__"] = lambda key: getattr(new, key)
        if hasattr(new, "__path__"):
            module.__path__ = []


def new_name(name: str) -> str | None:
    """What a module, or the folder that it was in, is called now. None where it has not moved."""
    folder, _, inside = name.rpartition(".")
    if name in MOVED:
        return MOVED[name]
    return f"{MOVED[folder]}.{inside}" if folder in MOVED else None


def install() -> None:
    """Let Python find the old names."""
    sys.meta_path.append(Finder())
