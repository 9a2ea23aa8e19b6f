"""Overrides as people write them and as Hydra reads them."""

from __future__ import annotations

import re
from typing import Any

from initdist.cli.conditions import number_of

WORDS = {"null", "true", "false", "inf", "nan", "none"}  # that Hydra would not read as texts


def in_full(argument: str, lists: str = r"measures|measures\.names|where\..*") -> str:
    """`measures=pacbayes,ntk` and `where.model.width=64,256` as Hydra reads lists, `where.noise.level=<0.5` as a text.

    lists: the keys whose value may be a list.
    """
    key, given, value = argument.partition("=")
    if not given or not re.fullmatch(lists, key):
        return argument
    key = "measures.names" if key == "measures" and "names" in lists else key
    if key.startswith("where.") and value.startswith(("<", ">")):
        return f"{key}={quoted(value)}"
    bare = value.startswith("[") or value == "null" or (key.startswith("where.") and "," not in value)
    return f"{key}={value if bare else f'[{value}]'}"


def quoted(value: Any) -> str:
    """A value such that Hydra's override grammar reads it as it is; a text that could be anything else in quotes."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(quoted, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return str(value)
    plain = re.fullmatch(r"[\w./][\w./:@%+-]*", value) and value.lower() not in WORDS
    if plain and number_of(value) is None:
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'  # these, since a shell's single quotes go around the whole of it
