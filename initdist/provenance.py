"""Which code this is: the version, the commit of a checkout, and a hash of the sources, since they can be edited."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

VERSION = "0.1.0"


@cache
def code() -> str:
    """Hash of all Python files of this package, as they are when it is first asked for."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def git_commit() -> str | None:
    """Commit of the checkout that this package runs from; None outside of one."""
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
