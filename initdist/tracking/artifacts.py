"""Writing files beside runs, wherever an experiment keeps them, and saying early that they cannot be written there."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from initdist.tracking.records import TrackingError

_AWS = ("boto3", "'initdist[s3]'")
# What MLflow imports for a kind of place only when it writes the first file: module, what to install.
_NEEDED = {
    "s3": _AWS,
    "r2": _AWS,
    "b2": _AWS,
    "gs": ("google.cloud.storage", "google-cloud-storage"),
    "wasbs": ("azure.storage.blob", "azure-storage-blob azure-identity"),
    "abfss": ("azure.storage.filedatalake", "azure-storage-file-datalake azure-identity"),
}


class FileStoreError(OSError):
    """Files cannot be written now; as with a disk, that may pass."""


def check(location: str) -> None:
    """Raises TrackingError if files there need what is not installed."""
    scheme = urlparse(location).scheme
    module, install = _NEEDED.get(scheme, ("", ""))
    if module and not _is_there(module):
        raise TrackingError(
            f"tracking.experiment keeps its files at {scheme}://, which needs {module}, which is not installed: "
            f"pip install {install}"
        )


def put(artifact_uri: str, tracking_uri: str, file: Path) -> None:
    """Add a file to a run. Raises MlflowException, or OSError: each kind of store has errors of its own."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:  # the client's own log_artifact would ask the store for the run again
        get_artifact_repository(artifact_uri, tracking_uri=tracking_uri).log_artifact(str(file))
    except (MlflowException, OSError):
        raise
    except Exception as error:
        place = urlparse(artifact_uri)
        said = " ".join(str(error).split())[:300]
        raise FileStoreError(f"{place.scheme}://{place.hostname or ''}: {said}") from error


def put_json(artifact_uri: str, tracking_uri: str, value: Any, name: str) -> None:
    """Add a JSON file to a run. Raises as `put`."""
    with tempfile.TemporaryDirectory(prefix="initdist-") as folder:
        file = Path(folder, name)
        file.write_text(json.dumps(value, indent=2))
        put(artifact_uri, tracking_uri, file)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it is in
        return False
