"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME_BYTES, KEPT_BYTES = 255, 160  # the longest name that file systems take


@contextlib.contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A path beside the file, to write to: it takes the file's place if nothing goes wrong, and else is removed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        yield beside
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def fitting(path: str) -> str:
    """A path each of whose names a file system takes: of one that is too long, its beginning and a hash of it."""
    return "/".join(map(_fitting, path.split("/")))


def _fitting(name: str) -> str:
    written = os.fsencode(name)
    if len(written) <= NAME_BYTES:
        return name
    return f"{written[:KEPT_BYTES].decode(errors='ignore')}~{hashlib.sha256(written).hexdigest()[:12]}"


def write_checked(file: Path, plain: Any) -> None:
    """Write JSON with a checksum, in place of what was there."""
    text = json.dumps(plain)
    with replaced(file) as beside:
        beside.write_text(json.dumps({"content": text, "checksum": _checksum(text)}))


def read_checked(file: Path) -> Any:
    """What `write_checked` wrote. Raises ValueError for anything else, OSError where it cannot be read."""
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
        if _checksum(whole["content"]) != whole["checksum"]:
            raise ValueError("its checksum is not that of its contents")
        return json.loads(whole["content"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not what was written there ({type(error).__name__})") from error


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
