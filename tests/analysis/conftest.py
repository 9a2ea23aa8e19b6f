"""Stores are slow to fill (50 ms a run): each is made once, read by many tests, changed by none."""

from __future__ import annotations

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.pop("MLFLOW_TRACKING_URI", None)

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from worlds import Planted, Store, metrics, planted_slope

from initdist import cores, names

SLOPE = 0.01


def pytest_configure(config: pytest.Config) -> None:
    """MLflow itself still calls what SQLAlchemy 2.1 deprecates."""
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def _one_process() -> Iterator[None]:
    """Analyses in this process draw alone: a second one would import all that this one has. Commands have theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "usable", lambda: 1)
        yield


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A clean sweep `abc123`: within groups the gap rises with the distance, between groups it falls."""
    store = Store(tmp_path_factory.mktemp("planted"))
    runs = planted_slope(SLOPE, widths=(16, 64, 256), seeds=3)
    run_ids = store.add(runs)
    parent = store.add_sweep("abc123", [run.tags()[names.IDENTITY] for run in runs])
    return SimpleNamespace(store=store, uri=store.uri, runs=runs, run_ids=run_ids, parent=parent)


@pytest.fixture(scope="session")
def messy(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Everything that must be left out, once each; two sweeps; runs that are no networks."""
    store = Store(tmp_path_factory.mktemp("messy"))
    good = [
        Planted({"model.width": width}, metrics(4 + 0.1 * seed, 0.1 + 0.01 * seed, width=width), seed, sweep="first")
        for width in (16, 64)
        for seed in range(5)
    ]
    wide = {"model.width": 256}
    again = replace(good[0], metrics=metrics(9.0, 0.5), end=9_000)
    bad = {
        "running": Planted(wide, metrics(4, 0.1), 5, status="RUNNING"),
        "failed": Planted(wide, {}, 6, status="FAILED"),
        "killed": Planted(wide, {}, 7, status="KILLED"),
        "diverged": Planted(wide, metrics(math.inf, 0.5), 0, stop_reason="diverged"),
        "unconverged": Planted(wide, metrics(4, 0.1), 1, stop_reason="max_epochs"),
        "gap is nan": Planted(wide, metrics(4, math.nan), 2),
        "distance is infinite": Planted(wide, metrics(1.7976931348623157e308, 0.1), 3),
        "no distance": Planted(wide, {names.GAP: 0.1}, 4),
        "sole converged": Planted(wide, metrics(4, 0.1), 8),
        "width no number": Planted({"model.width": "wide"}, metrics(4, 0.1), 9),
        "width absent": Planted({"model.width": "ABSENT"}, metrics(4, 0.1), 9),
        "no identity": Planted(wide, metrics(4, 0.1), 10, identity=""),
        "no stop reason": Planted(wide, metrics(4, 0.1), 11, stop_reason=None),
    }
    fixed = Planted(
        {"model.width": 32, "stop.train_loss": 0.0}, metrics(4, 0.1), 0, stop_reason="max_epochs", sweep="second"
    )
    run_ids = store.add([*good, again, *bad.values(), fixed, Planted(kind="")])
    identities = [run.tags()[names.IDENTITY] for run in good]
    store.add_sweep("first", identities)
    store.add_sweep("second", [identities[0], fixed.tags()[names.IDENTITY], "never trained"])
    store.add_sweep("unlisted", None)
    by_name = dict(zip(["again", *bad, "fixed"], run_ids[len(good) :], strict=False))
    return SimpleNamespace(store=store, uri=store.uri, good=run_ids[: len(good)], by_name=by_name)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Experiments of one configuration, of one seed, and an empty one."""
    folder = tmp_path_factory.mktemp("small")
    one = Store(folder, "one-configuration")
    one.add([Planted({}, metrics(4 + seed, 0.1 + 0.1 * seed), seed) for seed in range(3)])
    one.client.create_experiment("empty")
    seed = Store.__new__(Store)
    seed.uri, seed.client = one.uri, one.client
    seed.experiment_id = one.client.create_experiment("one-seed", artifact_location=(folder / "seed").as_uri())
    seed.add(
        [
            Planted({"model.width": 2**k, "dataset.name": "<b>&|`x`"}, metrics(5 - 0.3 * k, 0.1 - 0.01 * k))
            for k in range(4, 8)
        ]
    )
    return SimpleNamespace(uri=one.uri, folder=Path(folder))
