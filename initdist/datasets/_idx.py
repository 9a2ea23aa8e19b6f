"""The MNIST family of torchvision: four IDX files under ROOT/<name>/raw, checked before anything is trained."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from initdist.datasets import Arrays
from initdist.errors import DatasetError
from initdist.schema import DatasetConfig


def ensure(name: str, files: Mapping[str, str], config: DatasetConfig) -> None:
    """Check the files against their MD5, downloading them first if allowed. Raises DatasetError."""
    raw = _raw(name, config)
    missing = [file for file in files if not (raw / file).is_file()]
    if missing and config.download:
        _download(name, files, config)
    elif missing:
        raise DatasetError(_absent(name, files, config, "dataset.download is false"))
    for file, expected in files.items():
        path = raw / file
        stat = path.stat()
        found = _md5(str(path), stat.st_size, stat.st_mtime_ns)
        if found != expected:
            raise DatasetError(
                f"dataset file {path} is corrupt: MD5 must be {expected}, got {found} ({stat.st_size} bytes); "
                f"remove it and run again to download it anew"
            )


def load(name: str, config: DatasetConfig) -> Arrays:
    """Both splits as arrays."""
    train, test = (_torchvision(name, config, train=split, download=False) for split in (True, False))
    return Arrays(
        train.data.numpy()[:, None],
        train.targets.numpy().astype(np.int64),
        test.data.numpy()[:, None],
        test.targets.numpy().astype(np.int64),
        scale=255.0,
    )


def _raw(name: str, config: DatasetConfig) -> Path:
    return Path(config.root).expanduser().resolve() / name / "raw"


def _torchvision(name: str, config: DatasetConfig, *, train: bool, download: bool) -> Any:
    import torchvision

    return getattr(torchvision.datasets, name)(Path(config.root).expanduser(), train=train, download=download)


def _download(name: str, files: Mapping[str, str], config: DatasetConfig) -> None:
    from filelock import FileLock

    raw = _raw(name, config)
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with FileLock(raw.parent / ".download.lock"):
            _torchvision(name, config, train=True, download=True)
    except Exception as error:  # whatever the network or the disk says, the user needs the same instructions
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(_absent(name, files, config, f"the download failed ({reason})")) from error


def _absent(name: str, files: Mapping[str, str], config: DatasetConfig, why: str) -> str:
    return (
        f"dataset {config.name} is not complete in {_raw(name, config)} and {why}. Expected files: {', '.join(files)} "
        f"(unpacked). Place them there, or point dataset.root (or INITDIST_DATA) at a folder that holds {name}/raw"
    )


@cache
def _md5(path: str, size: int, mtime_ns: int) -> str:
    """MD5 of a file; size and time are part of the cache's key."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
