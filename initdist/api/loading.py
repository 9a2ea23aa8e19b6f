"""A tracked network from its run: its config, its data, and its trained and initial modules."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initdist import models, names, tracking
from initdist.cli import compose
from initdist.config.schema import Config
from initdist.errors import UserError
from initdist.paths import SQLITE, sqlite_file, store_uri
from initdist.secrets import cause, masked, unmasked
from initdist.tracking.readonly import read_only, readable
from initdist.tracking.store import client

if TYPE_CHECKING:
    from torch import Tensor, nn

REMEDY = "pass tracking_uri, set MLFLOW_TRACKING_URI, or start in the folder of mlflow.db"


def load_network(run_id: str, tracking_uri: str | None = None) -> tuple[nn.Module, nn.Module]:
    """The trained network of a run and its initial one, as torch modules in evaluation mode on the CPU.

    They compute the function that was trained and logged, in float32, of inputs as `load_data` gives them. Their shapes
    come from the run: no dataset is needed. Where the function is that of the plain module, that is what is returned.
    For `model.init=ntk`, which multiplies each weight by sqrt(2 / fan_in), for `model.output_scale`, which computes
    alpha (f_theta - f_theta0), and for `model.linearize`, it is a `function.Function`. Its `theta` is the plain module,
    with the trained parameters under their own names; `parameters()` gives these alone, so that training can go on.

    Raises UserError for a run that is not there or has no weights, for weights that do not match its config, and where
    the initial parameters drawn here are not those that the run began with.
    """
    from initdist.stacks import function, initialization, weights

    config, run = _run_config(run_id, tracking_uri)
    plain, started = (models.build(config.model, *_sizes(run)).eval() for _ in range(2))
    shapes = {name: tuple(p.shape) for name, p in plain.named_parameters()}
    theta0 = initialization.draw(config, shapes)
    try:
        weights.check_start(theta0, run.data.tags[names.THETA0])
        trained = _weights(run, store_uri(tracking_uri), shapes)
    except UserError as error:
        version = run.data.tags.get(names.VERSION)
        raise UserError(f"run {run_id}, trained by initdist {version}: {error}") from error
    module, initial = (function.build(config.model, one, theta0) for one in (plain, started))
    plain.load_state_dict(trained)
    return module, initial


def _sizes(run: Any) -> tuple[tuple[int, ...], int]:
    """Input shape [channels, height, width] and number of classes, as the run's tags say."""
    shape, classes = (run.data.tags.get(tag, "") for tag in (names.INPUT_SHAPE, names.CLASSES))
    if not shape or not classes:
        raise UserError(f"run {run.info.run_id} must have the tags {names.INPUT_SHAPE} and {names.CLASSES}")
    return tuple(map(int, shape.split("x"))), int(classes)


def load_data(run_id: str, tracking_uri: str | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a run's network was trained and tested on: training inputs [m, K, H, W], normalized as for the network, the
    labels trained on [m], test inputs [T, K, H, W] and clean test labels [T]."""
    import torch

    from initdist.data import stack_data

    config, _ = _run_config(run_id, tracking_uri)
    samples = stack_data.build([config], torch.device("cpu"))
    inputs, labels = samples.train_slice(0, samples.train_size)
    test_inputs, test_labels = samples.test_slice(0, samples.test_size)
    return inputs[0], labels[0], test_inputs[0], test_labels[0]


@contextlib.contextmanager
def _existing_client(uri: str) -> Iterator[Any]:
    """A client of a store that is there: MLflow would make a new one, or its tables in another database."""
    path = sqlite_file(uri)
    if path is None:
        if "://" not in uri.removeprefix("file://"):
            given = masked(uri)
            raise UserError(f"tracking_uri must be a database or a server (sqlite:////path/mlflow.db), got {given!r}")
        yield client(uri)
        return
    try:
        with readable(path) as file:
            if not _holds_runs(file):
                raise UserError(f"tracking_uri must be a store that is there, got {masked(uri)}: {REMEDY}")
            yield client(uri if file == path else f"{SQLITE}{file}")
    except sqlite3.Error as error:
        raise UserError(f"tracking_uri must be a store that can be read, got {masked(uri)}: {error}") from error


def _holds_runs(path: Path) -> bool:
    """Whether there is a file, and it is a database with MLflow's tables; it is only read."""
    try:
        with read_only(path) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def _run_config(run_id: str, tracking_uri: str | None) -> tuple[Config, Any]:
    """The config that a run's params describe, with this machine's dataset root."""
    from mlflow.exceptions import MlflowException

    uri = unmasked(store_uri(tracking_uri))
    try:
        with _existing_client(uri) as known:
            run = known.get_run(run_id)
    except MlflowException as error:
        why = f"run_id must be a run in {uri}, got {run_id!r}: {error.message}"
        raise UserError(masked(why)) from cause(error)
    if run.data.tags.get(names.KIND) != names.KIND_NETWORK or run.info.status != "FINISHED":
        raise UserError(f"run {run_id} must be the finished run of a network, got status {run.info.status}")
    return compose.from_params(run.data.params), run


def _weights(run: Any, uri: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    from mlflow.exceptions import MlflowException

    from initdist.stacks import weights

    store = tracking.Store(uri, "", run.info.experiment_id)
    with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
        try:
            file = tracking.artifact(store, run, names.WEIGHTS_FILE, Path(folder))
        except (MlflowException, OSError) as error:
            raise UserError(masked(f"its weights cannot be fetched: {error}")) from cause(error)
        if file is None:
            raise UserError(f"it has no weights: {tracking.why_no_weights(store, run)}")
        return weights.load(file, shapes)
