"""The machine's processor: how many cores there are for this process, and how it multiplies matrices.

MKL's products must not depend on where in memory a network lies: a stack would change the networks in it.

On processors that are not Intel's they do, unless MKL is told otherwise before its first product. Measured on an AMD
EPYC with AVX2: of 87,808 products with several rows and columns 3,696 differed, with this mode none, at the same speed.
On Intel's none differ without it, and it is slower for narrow products.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MODE = "AVX2,STRICT"

# What SLURM says of a job's allotment. Where it binds no processes to cores, nothing else tells of it.
_ALLOTTED = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
_PROC = Path("/proc/self")


def settle_products() -> None:
    """Choose how MKL multiplies, for this process and those that it starts. A mode that is set already stays."""
    if "Intel" not in processor():
        os.environ.setdefault("MKL_CBWR", MODE)


def processor() -> str:
    """Something that names the processor's maker: `GenuineIntel`, `AuthenticAMD`."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            return file.read(200)
    except OSError:
        return platform.processor()


def usable() -> int:
    """Cores that this process may use: the least of its affinity, of SLURM's allotment, and of what its cgroups grant
    (`docker --cpus`, a limit of Kubernetes), rounded up."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allotted = [int(value) for value in map(os.environ.get, _ALLOTTED) if value and value.isdecimal()]
    return max(1, min([seen, *allotted, *(math.ceil(cores) for cores in _granted(_PROC))]))


def _granted(proc: Path) -> Iterator[float]:
    """How many cores' time each cgroup around a process grants it, where one has a limit; of both versions."""
    try:
        groups, mounts = (proc / "cgroup").read_text(), (proc / "mountinfo").read_text()
    except OSError:  # no Linux
        return
    own = {}
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            own["cgroup" if controllers else "cgroup2"] = PurePosixPath(path)
    for line in mounts.splitlines():
        place, _, system = line.partition(" - ")
        root, mounted = place.split()[3:5]
        kind, _, options = system.split(maxsplit=2)
        if kind in own and (kind == "cgroup2" or "cpu" in options.split(",")):
            group = own[kind]  # in a container it need not be below the root: what is mounted is its own then
            innermost = Path(mounted, group.relative_to(root) if group.is_relative_to(root) else "")
            for folder in (innermost, *innermost.parents):
                if folder.is_relative_to(mounted) and (limit := _limit(folder)):
                    yield limit


def _limit(folder: Path) -> float | None:
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / file).read_text() for file in files).split()
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError, ZeroDivisionError):  # not of this version; `max`
            continue
    return None
