"""One line for what Hydra refuses: the key, the rule, the value, and the nearest name that there is."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from initdist.config import families, registry
from initdist.errors import nearest
from initdist.secrets import cause, masked

FULL = "HYDRA_FULL_ERROR"  # with it Hydra raises what it would print over several lines
_OURS = ("initdist", "multirun_analysis", "hydra_plugins", "__main__")
GRAMMAR = "https://hydra.cc/docs/1.3/advanced/override_grammar/basic"


@contextlib.contextmanager
def in_one_line(command: str, keys: Callable[[], Iterable[str]], status: int = 1) -> Iterator[None]:
    """Print a mistake in the overrides as `command: ...` and exit; `keys` are those that the config has.

    With HYDRA_FULL_ERROR=1 they are raised as they are. Other exceptions always are, but for one that would show a
    secret of the store in its traceback.
    """
    with _no_secret_shown():
        if os.environ.get(FULL) == "1":
            yield
        else:
            with _explained(command, keys, status):
                yield


@contextlib.contextmanager
def _no_secret_shown() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if cause(error) is not None:
            raise
        print(masked("".join(traceback.format_exception(error))), file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def _explained(command: str, keys: Callable[[], Iterable[str]], status: int) -> Iterator[None]:
    before = os.environ.get(FULL)
    os.environ[FULL] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        print(f"{command}: {masked(explained(error, keys))}", file=sys.stderr)
        sys.exit(status)
    except OSError as error:
        if not _of_hydra(error):
            raise
        print(
            f"{command}: hydra.run.dir must be a folder that can be written to, got {error.filename}: "
            f"{error.strerror}; name another (hydra.run.dir=DIR), or start in another folder",
            file=sys.stderr,
        )
        sys.exit(status)
    finally:
        os.environ.pop(FULL) if before is None else os.environ.update({FULL: before})


def _of_hydra(error: OSError) -> bool:
    """Whether Hydra met it, on the way to a command: it makes a folder for each call."""
    modules = [frame.f_globals.get("__name__", "").split(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(error.filename) and [name for name in modules if name in ("hydra", *_OURS)][-1:] == ["hydra"]


def explained(error: Exception, keys: Callable[[], Iterable[str]]) -> str:
    """What was wrong, in one line."""
    text, cause = _plain(error), _plain(error.__cause__) if error.__cause__ else ""
    if isinstance(error, OverrideParseException):
        return f"{error.override} must be key=value in Hydra's grammar ({GRAMMAR}): {_plain(error.message)}"
    if (schema := re.search(r"Could not load 'schema/(\w+)/(\w+)'", text)) and (
        wrong := families.wrong(schema[1], schema[2])
    ):
        return wrong
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if families.there(group, name):
            return (
                f"{group}={name} must have a file of defaults {group}/{name}.yaml, got none; write one, as "
                f"CONTRIBUTING.md says, and name the folder that {group}/ is in by --config-dir"
            )
        return registry.unknown(group, name, error.options)
    if unknown := re.match(r"Could not override '(.+?)'\.", text):
        if unknown[1].startswith("stop.") and (
            wrong := next(filter(None, map(_wrong_stop, families.found("stops"))), "")
        ):
            return wrong  # whose key it may be
        key, given = unknown[1], re.search(r"use \+(\S.*)", text)
        hint = nearest(key, sorted(keys())) or "; --cfg job shows those that there are"
        return f"{key} must be a key of the config, got {given[1] if given else key}{hint}"
    if merging := re.match(r"Error merging override (\S+?)=(.*)", text):
        return f"{merging[1]} must be of its type, got {merging[1]}={merging[2]}: {cause}"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {text}"
    return f"{text}: {cause}" if cause else text


def _wrong_stop(name: str) -> str:
    return families.wrong("stop", name)


def _plain(error: object) -> str:
    """Without the lines in which OmegaConf names its types and Hydra its documentation."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not re.match(r"\w+_(key|type)[:=]|See https://hydra", line))


def keys(schema: type, prefix: str = "") -> Iterator[str]:
    """Dotted names of all that a structured config has: `optimizer`, `optimizer.lr`."""
    hints = get_type_hints(schema)
    for one in fields(schema):
        yield prefix + one.name
        if is_dataclass(hints[one.name]):
            yield from keys(hints[one.name], f"{prefix}{one.name}.")
