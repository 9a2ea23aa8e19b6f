"""Which process owns a run or a lease, and whether it lives."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from functools import cache
from pathlib import Path

_PROC = Path("/proc/self")
_FIRST = "4026531836"  # the name space of processes that a machine starts with
_TAG = re.compile(r"(?P<host>.+):(?P<pid>\d{1,10}):(?P<kernel>[^:\s-]*)-(?P<start>[^:\s]+)")


@cache
def this_process() -> str:
    """`host:pid:kernel-start` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{_kernel()}-{_start('self' if _PROC.exists() else os.getpid())}"


def is_process(tag: str) -> bool:
    """Whether this names a process at all, of whatever host."""
    return _TAG.fullmatch(tag) is not None


def lives(tag: str) -> bool | None:
    """Whether a process still runs. None where that cannot be seen from here: on another host, or in a container."""
    found = _TAG.fullmatch(tag)
    if found is None or found["host"] != socket.gethostname():
        return None
    boot, _, place = _kernel().partition(".")
    if found["start"] == boot:  # `host:pid:start-boot`, of an earlier version, which knew no containers
        return _start(int(found["pid"])) == found["kernel"] or None
    if found["kernel"] != _kernel():
        told = place.startswith(f"{_FIRST}.") and not place.endswith(".")  # a machine, outside of its containers
        return False if told and found["kernel"].partition(".")[2] == place else None  # it has started anew since
    if tag == this_process():
        return True
    if _PROC.exists() and _PROC.readlink().name != str(os.getpid()):
        return None  # /proc is that of another container
    return _start(int(found["pid"])) == found["start"]


def is_here(tag: str) -> bool:
    """Whether a process is, or was, of this machine since it started, in whatever container."""
    found, boot = _TAG.fullmatch(tag), _kernel().partition(".")[0]
    if found is None or not boot:
        return found is not None and found["host"] == socket.gethostname()
    return found["kernel"].partition(".")[0] == boot


def described(tag: str) -> str:
    """`host NAME, process 123`."""
    found = _TAG.fullmatch(tag)
    return f"host {found['host']}, process {found['pid']}" if found else tag


def _start(pid: int | str) -> str:
    """Something that tells this process from a later one with the same number; empty if there is none.

    A process that has ended and that its parent has not asked after (a zombie) is none.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        if _PROC.exists():
            return ""
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, start = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip().replace(":", ".").replace(" ", "_")


@cache
def _kernel() -> str:
    """Numbers of processes and their starts begin anew when the machine does, and in each container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{boot}.{Path('/proc/self/ns/pid').readlink().name.strip('pid:[]')}.{_machine()}"
    except OSError:
        return ""


def _machine() -> str:
    """Which machine this is, however often it starts; empty where it has no number."""
    try:
        number = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(number).hexdigest()[:8] if number else ""
