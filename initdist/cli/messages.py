"""One line for what Hydra refuses: the key, the rule, the value, and the nearest name that there is."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from initdist.cli import config_files
from initdist.config import families, registry
from initdist.errors import nearest
from initdist.secrets import cause, masked

FULL = "HYDRA_FULL_ERROR"  # with it Hydra raises what it would print over several lines
_OURS = ("initdist", "multirun_analysis", "hydra_plugins", "__main__")
KINDS = {
    "integer": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "boolean": "true or false",
    "list": "a list",
    "str": "a text",
    "string": "a text",
}
GRAMMAR = "https://hydra.cc/docs/1.3/advanced/override_grammar/basic"


@contextlib.contextmanager
def in_one_line(keys: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Print a mistake in the overrides or in a file as `initdist: ...` and exit; `keys` are those that the config has.

    With HYDRA_FULL_ERROR=1 they are raised as they are. Other exceptions always are, but for one that would show a
    secret of the store in its traceback.
    """
    with _no_secret_shown():
        if os.environ.get(FULL) == "1":
            yield
        else:
            with _explained(keys):
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
def _explained(keys: Callable[[], Iterable[str]]) -> Iterator[None]:
    before = os.environ.get(FULL)
    os.environ[FULL] = "1"
    try:
        yield
    except Exception as error:
        known = isinstance(error, HydraException | OmegaConfBaseException)
        line = explained(error, keys) if known else config_files.fault(error) or _folder(error) or _refused(error)
        if not line:
            raise
        print(f"initdist: {masked(line.removeprefix('initdist: '))}", file=sys.stderr)
        sys.exit(1)
    finally:
        os.environ.pop(FULL) if before is None else os.environ.update({FULL: before})


def _folder(error: Exception) -> str:
    """What is wrong with the folder that Hydra makes for each call, on the way to a command; or nothing."""
    if not isinstance(error, OSError) or not error.filename:
        return ""
    modules = [frame.f_globals.get("__name__", "").split(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)]
    if [name for name in modules if name in ("hydra", *_OURS)][-1:] != ["hydra"]:
        return ""
    return (
        f"hydra.run.dir must be a folder that can be written to, got {error.filename}: {error.strerror}; name another "
        f"(hydra.run.dir=DIR), or start in another folder"
    )


def explained(error: Exception, keys: Callable[[], Iterable[str]]) -> str:
    """What was wrong, in one line."""
    if wrong := config_files.fault(error):
        return wrong
    text = _plain(error).partition(" Config search path:")[0]
    cause = _plain(error.__cause__) if error.__cause__ else ""
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
    if composing := re.match(r"In '(.+?)': (.*)", text):
        return _composed(error, composing[1], composing[2], keys)
    if unknown := re.match(r"Could not override '(.+?)'\.", text):
        if unknown[1].startswith("stop.") and (
            wrong := next(filter(None, map(_wrong_stop, families.found("stops"))), "")
        ):
            return wrong  # whose key it may be
        key, given = unknown[1], re.search(r"use \+(\S.*)", text)
        which = "hydra" if key.startswith("hydra.") else "job"
        hint = meant(key, sorted(keys())) or f"; --cfg {which} shows those that there are"
        return f"{key} must be a key of the config, got {given[1] if given else key}{hint}"
    if ambiguous := re.match(r"Ambiguous value for argument '(\S+?)=(.*?)'", text):
        return f"{ambiguous[1]} must be one value, got {ambiguous[1]}={ambiguous[2]}; for a sweep over several add -m"
    if merging := re.match(r"Error merging override (\S+?)=(.*)", text):
        return f"{merging[1]} must be {_kind(cause)}, got {merging[1]}={merging[2]}"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {text}"
    return f"{text}: {cause}" if cause else text


def _composed(error: Exception, name: str, why: str, keys: Callable[[], Iterable[str]]) -> str:
    """What a file of the configuration says, and cannot."""
    key = config_files.full_key(error)
    where = config_files.place(error, key) or f"{name}.yaml"
    if "ConfigKeyError" in why:
        return f"{where}: {key} must be a key of the config{meant(key, sorted(keys()))}"
    if key:
        return f"{where}: {key} must be {_kind(why)}: {why.partition('composing config: ')[2]}"
    group = name.rpartition("/")[0]
    other = re.search(rf"'{re.escape(group)}/(\w+)[/@]", why) if group else None
    return f"{where}: {why.rstrip('.')}" + (f"; of another group: `override /{other[1]}: NAME`" if other else "")


def meant(key: str, known: Sequence[str]) -> str:
    """`; did you mean optimizer.lr?` for a key without its section, or for one that is misspelled; or nothing."""
    if near := nearest(key, known):
        return near
    plain = [one for one in known if not one.startswith("vary.")]
    leaf = next(iter(difflib.get_close_matches(key, [one.rpartition(".")[2] for one in plain], n=1)), key)
    own = sorted({one for one in plain if one.rpartition(".")[2] == leaf})
    return f"; did you mean {' or '.join(own)}?" if 0 < len(own) <= 3 else ""


def _kind(why: str) -> str:
    """What a value must be, by what OmegaConf says of one that is not."""
    found = re.search(r"could not be converted to (\w+)|is not a (\w+)|valid (\w+)", why, re.IGNORECASE)
    return KINDS.get(next(filter(None, found.groups()), "").lower(), "of its type") if found else "of its type"


def _refused(error: Exception) -> str:
    """What Hydra says of flags that do not go together, or of a file that it was told to read."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, ValueError) and frames[-1].startswith("hydra."):
        return _plain(error)
    if frames[-1] == "hydra.main":
        return f"--experimental-rerun must be the config.pickle of a job that this version composed: {_plain(error)}"
    return ""


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
