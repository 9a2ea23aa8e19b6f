"""Which code this is: what a run carries beside its version, since a checkout can be edited."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def code() -> str:
    """Hash of all Python files of this package, as they are when it is first asked for."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
