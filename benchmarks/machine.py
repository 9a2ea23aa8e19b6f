"""What figures were measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

from initdist import cores


def machine(device: str) -> dict[str, str | float]:
    import torch

    name = torch.cuda.get_device_name() if device != "cpu" else _processor()
    return {
        "device": name,
        "cores": cores.usable(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%F"),
        "load": round(os.getloadavg()[0], 1),
    }


def described(found: Mapping[str, str | float]) -> str:
    """What `machine` found, in words."""
    versions = f"PyTorch {found['torch']}, Python {found['python']}"
    return f"{found['device']}, {found['cores']} cores, {versions}, {found['date']}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((one.partition(":")[2].strip() for one in lines if one.startswith("model name")), platform.processor())
