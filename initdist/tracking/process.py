"""Which process owns a run that is still RUNNING."""

from __future__ import annotations

import os
import socket
import subprocess
from functools import cache
from pathlib import Path


@cache
def this_process() -> str:
    """`host:pid:start` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}"


def is_dead(tag: str) -> bool:
    """Whether a process of this host is gone. False for another host's, of which nothing is known."""
    parts = tag.rsplit(":", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    return _start(int(parts[1])) != parts[2]


def _start(pid: int) -> str:
    """Something that tells this process from a later one with the same number; empty if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        return stat.read_text().rpartition(")")[2].split()[19]
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip().replace(":", ".").replace(" ", "_")


@cache
def git_commit() -> str | None:
    """Commit of the checkout that this package runs from; None outside of one."""
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
