"""images: any tree of image files, root/{train,test}/<class>/<file>, as torchvision's ImageFolder reads it.

The fingerprint is a hash of the files' content and of how they are decoded, so the same images are the same dataset
wherever they lie. They are decoded once, into a checksummed cache without pickles.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description, _decoded
from initdist.errors import DatasetError

OPTIONS = ("image_size", "grayscale")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
LOOK_AGAIN_SECONDS = 10
Listing = tuple[tuple[str, int, int], ...]  # (path relative to the root, size, time) of every file


def describe(config: DatasetConfig) -> Description:
    root = _root(config)
    fingerprint = _fingerprint(str(root), _listing(root), config.image_size, config.grayscale)
    arrays = _decoded.cached(root, _classes(root), _files(root), fingerprint, config)
    return Description(
        name="images",
        fingerprint=fingerprint,
        source=str(root),
        input_shape=arrays.train_inputs.shape[1:],
        classes=len(_classes(root)),
        pool=len(arrays.train_labels),
        test_size=len(arrays.test_labels),
        fewest=int(np.bincount(arrays.train_labels).min()),
    )


def load(config: DatasetConfig) -> Arrays:
    root = _root(config)
    fingerprint = _fingerprint(str(root), _listing(root), config.image_size, config.grayscale)
    return _decoded.cached(root, _classes(root), _files(root), fingerprint, config)


def caches(folder: Path) -> list[Path]:
    """What of a `dataset.cache` folder is decoded images, and nothing of anybody else's. None in use is harmed by its
    removal: a process holds its images in memory, and decodes again what it does not find."""
    return _decoded.caches(folder)


def _root(config: DatasetConfig) -> Path:
    return Path(config.root).expanduser().resolve()


def _check(root: Path) -> None:
    """Both splits, two classes at least, and the same ones in both."""
    for split in ("train", "test"):
        if not (root / split).is_dir():
            raise DatasetError(
                f"dataset.root must hold folders train/<class>/ and test/<class>/ of images, "
                f"got {root} without {split}/"
            )
    train, test = (_folders(root / split) for split in ("train", "test"))
    if odd := sorted(set(train) ^ set(test)):
        raise DatasetError(f"every class must be in both train/ and test/ of {root}, got {', '.join(odd)} in one only")
    if len(train) < 2:
        raise DatasetError(f"{root}/train must hold at least 2 class folders, got {len(train)}")


def _folders(split: Path) -> list[str]:
    return sorted(entry.name for entry in split.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    """Of what programs keep beside one's own: .ipynb_checkpoints/, ._cat.jpg."""
    return name.startswith(".")


def _images(folder: Path, within: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The image files of a class, subfolders last; as ImageFolder, through links, but never round in circles."""
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not _hidden(entry.name)), key=lambda entry: entry.name)
    folders = [Path(entry.path) for entry in entries if entry.is_dir()]
    names = {one.name for one in folders}
    within |= {folder.resolve()}
    for entry in entries:
        if entry.name not in names and Path(entry.name).suffix.lower() in SUFFIXES:
            yield Path(entry.path)
    for inside in folders:
        if inside.resolve() not in within:
            yield from _images(inside, within)


def _classes(root: Path) -> list[str]:
    return _folders(root / "train")


def _files(root: Path) -> list[Path]:
    return [root / path for path, _, _ in _listing(root)]


def _listing(root: Path) -> Listing:
    return _recent(root, int(time.monotonic() // LOOK_AGAIN_SECONDS))


@lru_cache(maxsize=2)
def _recent(root: Path, period: int) -> Listing:
    """The tree as it was a moment ago: a sweep asks once a network."""
    return tuple(_entries(root))


def _entries(root: Path) -> Iterator[tuple[str, int, int]]:
    _check(root)
    for split in ("train", "test"):
        for name in _folders(root / split):
            files = list(_images(root / split / name))
            if not files:
                raise DatasetError(f"class folder {root / split / name} must hold images, got none")
            for file in files:
                found = _regular(file)
                yield str(file.relative_to(root)), found.st_size, found.st_mtime_ns


def _regular(file: Path) -> os.stat_result:
    """Raises DatasetError for what cannot be read, or would be waited for, as a pipe."""
    try:
        found = file.stat()
    except OSError as error:
        raise DatasetError(f"image {file} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise DatasetError(f"image {file} must be a file, got a pipe, a socket or a device; take it out of the tree")
    return found


@cache
def _fingerprint(root: str, listing: Listing, image_size: int, grayscale: bool) -> str:
    """`images/` and a hash of all paths and contents and of the decoding; read once for each state of the tree."""
    digest = hashlib.sha256(f"size {image_size} gray {grayscale}\n".encode())
    for path, _, _ in listing:
        try:
            with open(Path(root, path), "rb") as file:
                deep = " 16" if _decoded.has_sixteen_bits(file) else ""  # read otherwise than they once were
                file.seek(0)
                digest.update(f"{path} {hashlib.file_digest(file, 'sha256').hexdigest()}{deep}\n".encode())
        except OSError as error:
            raise DatasetError(f"image {Path(root, path)} cannot be read: {error.strerror}") from error
    return f"images/{digest.hexdigest()}"
