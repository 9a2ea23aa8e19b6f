"""Set-up of every test: no telemetry, and the numerics of a training process."""

from __future__ import annotations

import os
import signal

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest

# What a shell starts in the background is deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Files of few tests that take long each. Begun last they would leave all processes but one idle at the end.
LONGEST = (
    "test_faults.py",
    "test_survival.py",
    "test_measure_command.py",
    "test_gpu_check.py",
    "test_command_sweep.py",
    "test_analysis_current.py",
    "test_kills.py",
    "test_ladder.py",
    "test_command_errors.py",
    "test_secrets.py",
    "test_models.py",
    "test_tracking.py",
    "test_analysis_figures.py",
    "test_headline.py",
    "test_api.py",
    "test_analysis_cli.py",
    "test_fuzz.py",
    "test_analysis_claims.py",
    "test_wheel.py",
    "test_interrupts.py",
    "test_launchers.py",
    "test_numerics_promise.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; each in its own order."""
    place = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Training processes use one thread; so do the tests that train in this process."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own tracking store is not the tests' business."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws from the global generators is the same in every run."""
    import numpy as np
    import torch

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries draw from it
