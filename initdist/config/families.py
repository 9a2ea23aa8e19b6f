"""Families: the models, datasets, noises ... that a config names. A new member is one new file, with nothing to edit.

The files of a family's package are its members, and so are the modules that other packages name by entry points. Their
names are known without importing them, and are what a config may hold: it cannot differ from what there is. A member is
imported when it is asked for, and must hold what the dataclass in its family's `_base.py` lists.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, Field, fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from initdist.config.registry import unknown
from initdist.config.rules import Rule
from initdist.errors import ConfigError, UserError

T = TypeVar("T")
Place = str | EntryPoint | ModuleType  # a module of ours by its name, one of another package, or one made in a test

# The package of each family's files. Other packages bring members by entry points of the group `initdist.FAMILY`.
PACKAGES = {
    "models": "initdist.models",
    "datasets": "initdist.data.datasets",
    "noises": "initdist.data.noise",
    "losses": "initdist.stacks.losses",
    "optimizers": "initdist.stacks.optimizers",
    "constraints": "initdist.stacks.constraints",
    "stops": "initdist.config.stops",
    "measures": "initdist.measures",
}
# The section of the config that a family's members are chosen in, and what one of them is called.
SECTIONS = {name: {"losses": "loss"}.get(name, name[:-1]) for name in PACKAGES}
FAMILIES = {section: name for name, section in SECTIONS.items()}
CHOSEN = tuple(name for name in PACKAGES if name not in ("stops", "measures"))  # those of which a config names one


class Tensor:
    """Stands for torch's in the hints of a base: they are read by processes that never import it."""


@cache
def found(family: str) -> dict[str, Place]:
    """Name -> where the member is. Nothing is imported. Of two with one name, ours, or the first."""
    package = PACKAGES[family]
    folder = Path(__file__).parents[2].joinpath(*package.split("."))
    own = sorted(file.name for file in pkgutil.iter_modules([str(folder)]) if not file.name.startswith("_"))
    places: dict[str, Place] = {name: f"{package}.{name}" for name in own}
    return {point.name: point for point in reversed(_points(family))} | places


@cache
def _all_points() -> Any:
    """The entry points of all packages, read once for all families."""
    return entry_points()


def _points(family: str) -> list[EntryPoint]:
    return list(_all_points().select(group=f"initdist.{family}"))


@cache
def _taken() -> str:
    """Which name is there twice; empty where none is."""
    for family in PACKAGES:
        for point in _points(family):
            place = found(family)[point.name]
            if point is not place and (isinstance(place, str) or point.value != place.value):
                return (
                    f"{point.name} of initdist.{family} must be a name of its own, "
                    f"got {point.value} beside {told(place)}"
                )
    return ""


def check_names() -> None:
    """Raises ConfigError where two members have the same name."""
    if taken := _taken():
        raise ConfigError(taken)


def told(place: Place) -> str:
    """Where a member is, for people."""
    return place if isinstance(place, str) else place.__name__ if isinstance(place, ModuleType) else place.value


class Names(Collection[str]):
    """The names of a family's members, looked up when they are wanted: no module is imported before it is complete."""

    def __init__(self, family: str) -> None:
        self.family = family

    def __contains__(self, name: object) -> bool:
        return name in found(self.family)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(found(self.family)))

    def __len__(self) -> int:
        return len(found(self.family))


def member_of(family: str) -> Rule:
    """The rule of a config field that names a member."""
    names = Names(family)
    return Rule("", names.__contains__, names)


class Family(Mapping[str, T]):
    """The members by name, each as an instance of the dataclass `base`, made from its module when it is asked for.

    `base` lists what a module holds: functions under the names of its fields, constants under these names in capitals.
    What has a default may be left out. `key` is the config field that names a member.
    """

    def __init__(self, family: str, key: str, base: type[T]) -> None:
        self.family, self.key, self.base = family, key, base
        self.names = Names(family)
        self._made: dict[str, T | ConfigError] = {}

    def __getitem__(self, name: str) -> T:
        """Raises ConfigError where there is none of this name, and where it is not what `base` lists."""
        if name not in self:
            raise ConfigError(unknown(self.key, name, self))
        if name not in self._made:  # a module that failed is not run again: half of it may have had its effect
            try:
                self._made[name] = self._member(name)
            except ConfigError as error:
                self._made[name] = error
        member = self._made[name]
        if isinstance(member, ConfigError):
            raise member.with_traceback(None)
        return member

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def sound(self) -> dict[str, T]:
        """The members without those that raise ConfigError: only to ask for such a one is an error."""
        members = {}
        for name in self:
            with suppress(ConfigError):
                members[name] = self[name]
        return members

    def check_own(self) -> None:
        """Raises ConfigError for a member of this package that is not what `base` lists."""
        for name, place in found(self.family).items():
            if isinstance(place, str):
                self[name]

    def _member(self, name: str) -> T:
        module = self._module(name)
        hints = get_type_hints(self.base, localns={"Tensor": Tensor})
        try:
            return self.base(**{one.name: _held(module, one, hints[one.name]) for one in fields(self.base)})  # type: ignore[arg-type]
        except ValueError as error:
            raise ConfigError(f"{self.key}={name}: {error} in {module.__name__}; see {self.base.__module__}") from error

    def _module(self, name: str) -> ModuleType:
        place = found(self.family)[name]
        if isinstance(place, ModuleType):
            return place
        try:
            module = importlib.import_module(place) if isinstance(place, str) else place.load()
        except ConfigError as error:
            raise ConfigError(f"{error} in {told(place)}") from error
        except Exception as error:  # whatever another package does wrong, the rest must go on
            raise ConfigError(f"{self.key}={name} needs {told(place)}, which cannot be imported: {error!r}") from error
        if not isinstance(module, ModuleType):
            raise ConfigError(f"{self.key}={name} needs a module, got {module!r} from {told(place)}")
        return module


def _held(module: ModuleType, spec: Field[Any], hint: Any) -> Any:
    """What a module holds of a field of its base. Raises ValueError that says what is wrong with it."""
    given = vars(module)
    name = spec.name if spec.name in given else spec.name.upper()
    if name not in given:
        if spec.default is MISSING:
            raise ValueError(f"{spec.name} must be there, got none")
        return spec.default
    for wanted in (hint, *get_args(hint)):  # `Callable[...]`, or one `| None`
        if get_origin(wanted) is Callable:
            check_call(name, given[name], get_args(wanted)[0])
    return given[name]


def check_call(name: str, value: Any, arguments: Sequence[Any]) -> None:
    """Raises ValueError unless a value can be called with these arguments, given by position."""
    if not callable(value):
        raise ValueError(f"{name} must be a function, got {value!r}")
    signature = inspect.signature(value)
    try:
        signature.bind(*arguments)
    except TypeError:
        kinds = ", ".join(getattr(one, "__name__", str(one)) for one in arguments)
        raise ValueError(f"{name} must take ({kinds}), got {name}{signature}") from None


def family(name: str) -> Family[Any]:
    """A family, which its package offers under its name in capitals; imports the package."""
    members: Family[Any] = getattr(importlib.import_module(PACKAGES[name]), name.upper())
    return members


def there(section: str, member: str) -> bool:
    """Whether a section of the config has a member of this name, be it right or wrong."""
    return section in FAMILIES and member in found(FAMILIES[section])


def wrong(section: str, member: str) -> str:
    """What is wrong with a member of a section of the config; empty where nothing is, and where there is none."""
    if not there(section, member):
        return ""
    try:
        family(FAMILIES[section])[member]
    except ConfigError as error:
        return str(error)
    return ""


def blame(error: BaseException) -> str:
    """Which member's code an error comes from, and what it says, in one line; empty where it comes from none.

    `loss own: RuntimeError: vmap: ... (loss in own_losses.py, line 7)`
    """
    members = {told(place): f"{SECTIONS[name]} {member}" for name in PACKAGES for member, place in found(name).items()}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if who := members.get(frame.f_globals.get("__name__", "")):
            text, code = " ".join(str(error).split()), frame.f_code
            return f"{who}: {type(error).__name__}: {text} ({code.co_name} in {code.co_filename}, line {line})"
    return ""


@contextmanager
def blamed() -> Iterator[None]:
    """Raises ConfigError that names the member for what its code raises and is not meant for users as it is."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        if line := blame(error):
            raise ConfigError(line) from error
        raise
