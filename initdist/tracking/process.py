"""Which process owns a run that is still RUNNING."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from functools import cache
from pathlib import Path

_TAG = re.compile(r".+:\d{1,10}:[^:\s]+")


@cache
def this_process() -> str:
    """`host:pid:start` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}"


def is_process(tag: str) -> bool:
    """Whether this names a process at all, of whatever host."""
    return _TAG.fullmatch(tag) is not None


def is_dead(tag: str) -> bool:
    """Whether a process of this host is gone. False for another host's, of which nothing is known."""
    return _is_ours(tag) and not is_alive(tag)


def is_alive(tag: str) -> bool:
    """Whether a process of this host still runs. False for another host's, of which nothing is known."""
    _, pid, start = tag.rsplit(":", 2) if _is_ours(tag) else ("", "0", "")
    return _is_ours(tag) and _start(int(pid)) == start


def _is_ours(tag: str) -> bool:
    return is_process(tag) and tag.rsplit(":", 2)[0] == socket.gethostname()


def _start(pid: int) -> str:
    """Something that tells this process from a later one with the same number; empty if there is none.

    A process that has ended and that its parent has not asked after (a zombie) is none.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else f"{fields[19]}-{_boot()}"
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, start = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip().replace(":", ".").replace(" ", "_")


@cache
def _boot() -> str:
    """Numbers of processes and their starts begin anew when the machine does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return ""
