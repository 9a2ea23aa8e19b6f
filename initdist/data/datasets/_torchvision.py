"""Datasets of torchvision: files in a folder under dataset.root, checked before anything is read or trained."""

import contextlib
import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description, _idx
from initdist.errors import DatasetError, NotDownloaded

# A folder, and whether the training split is wanted -> its images and labels.
Read = Callable[[Path, bool], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Source:
    """A class of torchvision.datasets and the files it reads."""

    name: str  # of the class
    folder: str  # under dataset.root
    files: Mapping[str, str | int]  # file -> MD5, or length in bytes where no digest is known
    compressed: bool = False  # whether a file may also be compressed with gzip, under its name and `.gz`

    def at(self, file: Path) -> Path:
        """Where a file is to be read."""
        return _idx.at(file) if self.compressed else file


def describe(source: Source, config: DatasetConfig, shape: tuple[int, ...], sizes: tuple[int, int, int]) -> Description:
    """Facts of a dataset of ten classes, be its files there or not. sizes: pool, test, smallest class."""
    return Description(
        name=config.name,
        fingerprint=f"{config.name}/1",
        source=f"torchvision.datasets.{source.name}",
        input_shape=shape,
        classes=10,
        pool=sizes[0],
        test_size=sizes[1],
        fewest=sizes[2],
    )


def prepare(source: Source, config: DatasetConfig) -> None:
    """Check the files, downloading them first if that is allowed. Raises DatasetError, of which NotDownloaded."""
    folder = _folder(source, config)
    missing = [file for file in source.files if not source.at(folder / file).is_file()]
    if missing and config.download:
        _download(source, config)
    elif missing:
        raise NotDownloaded(_absent(source, config, "dataset.download is false"))
    for file, expected in source.files.items():
        _check(source.at(folder / file), expected)


def load(source: Source, config: DatasetConfig, read: Read | None = None) -> Arrays:
    """Both splits as arrays, read from the folder of the files, or by torchvision where nothing is said.

    The files are checked again first, since torchvision unpickles some of them.
    """
    prepare(source, config)
    try:
        train, test = (
            read(_folder(source, config), split) if read else _read(source, config, split) for split in (True, False)
        )
        arrays = Arrays(*_shaped(*train), *_shaped(*test), scale=255.0)
    except Exception as error:  # torchvision has no common base for what can be wrong with a file
        raise DatasetError(_corrupt(source, config, f"{type(error).__name__}: {error}")) from error
    for labels in (arrays.train_labels, arrays.test_labels):
        if labels.min() < 0 or labels.max() > 9:
            raise DatasetError(_corrupt(source, config, f"a label of {labels.max()} among ten classes"))
    return arrays


def _corrupt(source: Source, config: DatasetConfig, why: str) -> str:
    return f"dataset files in {_folder(source, config)} are corrupt ({why}); remove them and run again"


def _read(source: Source, config: DatasetConfig, train: bool) -> tuple[np.ndarray, np.ndarray]:
    split = _open(source, config, train=train, download=False)
    return np.asarray(split.data), np.asarray(split.targets)


def _shaped(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images [M, channels, height, width] and labels [M], of [M, height, width] or [M, height, width, channels]."""
    images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images, labels.astype(np.int64)


def _check(path: Path, expected: str | int) -> None:
    stat = path.stat()
    found: str | int = stat.st_size
    if isinstance(expected, str) or path.suffix == ".gz":
        try:
            digest, length = _content(str(path), stat.st_size, stat.st_mtime_ns)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DatasetError(f"dataset file {path} is corrupt: {error}; remove it and run again") from None
        found = digest if isinstance(expected, str) else length
    if found != expected:
        rule = "MD5" if isinstance(expected, str) else "length"
        raise DatasetError(
            f"dataset file {path} is corrupt: {rule} must be {expected}, got {found} ({stat.st_size} bytes); "
            f"remove it and run again to download it anew"
        )


def _folder(source: Source, config: DatasetConfig) -> Path:
    return Path(config.root).expanduser().resolve() / source.folder


def _open(source: Source, config: DatasetConfig, *, train: bool, download: bool) -> Any:
    import torchvision

    return getattr(torchvision.datasets, source.name)(Path(config.root).expanduser(), train=train, download=download)


def _download(source: Source, config: DatasetConfig) -> None:
    from filelock import FileLock

    root = Path(config.root).expanduser().resolve()
    was_there = root.is_dir()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{source.name}.lock"):
            _open(source, config, train=True, download=True)
    except Exception as error:  # whatever the network or the disk says, the user needs the same instructions
        _tidy(root, source, was_there)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DatasetError(_absent(source, config, f"the download failed ({reason})")) from error


def _tidy(root: Path, source: Source, was_there: bool) -> None:
    """Leave no empty folders behind a download that failed, but for a root that was there before."""
    folders = [root / source.folder, *(root / source.folder).parents]
    with contextlib.suppress(OSError):  # another command downloads into them, or they hold something
        (root / f".{source.name}.lock").unlink(missing_ok=True)
        for folder in folders[: folders.index(root) + (not was_there)]:
            if folder.is_dir():
                folder.rmdir()


def _absent(source: Source, config: DatasetConfig, why: str) -> str:
    form = "unpacked or as .gz" if source.compressed else "unpacked"
    return (
        f"dataset {config.name} is not complete in {_folder(source, config)} and {why}. "
        f"Expected files: {', '.join(source.files)} ({form}). Place them there, or point dataset.root "
        f"(or INITDIST_DATA) at a folder that holds {source.folder}"
    )


@cache
def _content(path: str, size: int, mtime_ns: int) -> tuple[str, int]:
    """MD5 and length of what a file holds, unpacked; size and time are part of the cache's key."""
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        digest = hashlib.file_digest(file, "md5").hexdigest()
        return digest, file.tell()
