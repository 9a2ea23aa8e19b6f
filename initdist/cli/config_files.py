"""What is wrong with a file of the configuration: which file, which line, which rule.

Hydra's errors name no file, or only its stem. Where it was looking is in the frames that an error came through.
"""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from yaml.reader import ReaderError

GLOBAL = "# @package _global_"  # how a file begins that sets keys of other groups


def fault(error: BaseException) -> str:
    """What is wrong with the file that was being read or composed when this was raised; empty for another error."""
    key = full_key(error)
    for file in _files(error):
        if wrong := _unreadable(file) or (_unplaced(file) if key and "." not in key and not _line(file, key) else ""):
            return wrong
    return ""


def full_key(error: BaseException) -> str:
    """The dotted key that OmegaConf says an error is about."""
    found = re.search(r"^\s*full_key: (\S+)$", str(error), re.MULTILINE)
    return found[1] if found else ""


def place(error: BaseException, key: str) -> str:
    """`FILE, line 3`, where the file that this error names sets a key; empty where that is not known."""
    return next((f"{file}, line {line}" for file in _files(error) if (line := _line(file, key))), "")


def _line(file: Path, key: str) -> int:
    """Where a file sets this key, or its part within the file's own group; 0 where it does not."""
    top, own = yaml.compose(file.read_text("utf-8"), yaml.SafeLoader), key.removeprefix(f"{file.parent.name}.")
    return _line_in(top, key.split(".")) or _line_in(top, own.split("."))


def _line_in(node: yaml.Node | None, parts: list[str]) -> int:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == parts[0]:
            return _line_in(value, parts[1:]) if parts[1:] else name.start_mark.line + 1
    return 0


def _files(error: BaseException) -> list[Path]:
    """Those that an error may be about: one that Hydra had open, and one that it names."""
    found: dict[Path, None] = {}
    named = re.match(r"In '(.+?)': ", str(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if not frame.f_globals.get("__name__", "").startswith("hydra."):
            continue
        for value in list(frame.f_locals.values()):
            if isinstance(value, io.TextIOWrapper) and str(value.name).endswith((".yaml", ".yml")):
                found[Path(value.name)] = None
            elif named and hasattr(value, "get_sources"):  # its search path
                folders = [source.path for source in value.get_sources() if source.scheme() == "file"]
                found |= dict.fromkeys(Path(folder, f"{named[1]}.yaml") for folder in folders)
    return [file for file in found if file.is_file()]


def _unreadable(file: Path) -> str:
    raw = file.read_bytes()
    try:
        text = raw.decode()
        with contextlib.suppress(OSError):  # how OmegaConf refuses a number
            OmegaConf.load(io.StringIO(text))
        held = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return f"{file}, line {line}: must be UTF-8, got the byte 0x{raw[error.start]:02x}; save the file as UTF-8"
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return f"{file}, line {line}: must have no control characters, got {chr(error.character)!r}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return f"{file}, line {mark.line + 1 if mark else '?'}: {_rule(error)}"
    if not isinstance(held, dict | None):
        return f"{file}, line 1: must have keys with their values at its top, as in `model:`, got {_kind(held)}"
    return ""


def _rule(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if r"'\t'" in problem:
        return "must be indented with spaces, got a tab"
    if twice := re.match("found duplicate key (.*)", problem):
        return f"must have each key once, got {twice[1]} again"
    return f"must be YAML: {problem}{f' {error.context}' if error.context else ''}"


def _kind(held: object) -> str:
    return {list: "a list", str: "text", bool: "a truth value"}.get(type(held), "a number")


def _unplaced(file: Path) -> str:
    """Why the keys of a file are taken for keys of its own group, where its first line is what says otherwise."""
    first = next((line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()), "")
    bare = first.removeprefix("\ufeff")
    mark = ", without the byte order mark before it" if bare != first else ""
    got = repr(bare) if bare else "an empty file"
    return f"{file}, line 1: must begin with `{GLOBAL}`{mark}, got {got}"
