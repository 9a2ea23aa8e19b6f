"""The folder that a command was called in: where its relative paths lead."""

from __future__ import annotations

import contextlib

from hydra.core.hydra_config import HydraConfig


def where_called() -> contextlib.AbstractContextManager[None]:
    """Relative paths are those of the folder of the call, also with hydra.job.chdir=true."""
    hydra = HydraConfig.get()
    return contextlib.chdir(hydra.runtime.cwd) if hydra.job.chdir else contextlib.nullcontext()
