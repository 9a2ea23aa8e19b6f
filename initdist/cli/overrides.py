"""Overrides as people write them and as Hydra reads them."""

from __future__ import annotations

import re
from typing import Any


def in_full(argument: str) -> str:
    """`measures=pacbayes,ntk` and `where.model.width=64,256` as Hydra reads lists."""
    key, given, value = argument.partition("=")
    if not given or not re.match(r"measures$|measures\.names$|where\.", key):
        return argument
    key = "measures.names" if key == "measures" else key
    bare = value.startswith("[") or (key != "measures.names" and "," not in value)
    return f"{key}={value if bare else f'[{value}]'}"


def quoted(value: Any) -> str:
    """A value as Hydra's command line reads it: in quotes where it could be read as anything but this string."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    plain = re.fullmatch(r"[\w./][\w./:@%+-]*", text) and text.lower() not in ("null", "true", "false")
    if not isinstance(value, str) or (plain and not _is_number(text)):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
