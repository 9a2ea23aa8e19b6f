"""The machine's processor: how many cores there are to share among processes, and how it multiplies matrices.

MKL's products must not depend on where in memory a network lies: a stack would change the networks in it.

On processors that are not Intel's they do, unless MKL is told otherwise before its first product. Measured on an AMD
EPYC with AVX2: of 87,808 products with several rows and columns 3,696 differed, with this mode none, at the same speed.
On Intel's none differ without it, and it is slower for narrow products.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

MODE = "AVX2,STRICT"


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
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
