"""Decoding a tree of images once, into a cache whose checksum is verified whenever it is read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays
from initdist.errors import DatasetError

if TYPE_CHECKING:
    from PIL import Image

GRAY = ("1", "L", "LA")
EVERY = 2000  # images between two lines of progress where there is no terminal


def cached(
    root: Path, classes: Sequence[str], files: Sequence[Path], fingerprint: str, config: DatasetConfig
) -> Arrays:
    """The decoded images: from memory, from the cache, or decoded now."""
    folder = Path(config.cache).expanduser() / fingerprint.replace("/", "-")
    return _cached(root, tuple(classes), tuple(files), folder, config.image_size, config.grayscale)


@lru_cache(maxsize=2)
def _cached(
    root: Path, classes: tuple[str, ...], files: tuple[Path, ...], folder: Path, size: int, grayscale: bool
) -> Arrays:
    try:
        arrays = _read(folder)
        with contextlib.suppress(OSError):
            os.utime(folder)  # what `initdist.clean` takes for its last use
        return arrays
    except FileNotFoundError:
        pass
    except (ValueError, OSError, KeyError) as error:
        print(f"initdist: the cache {folder} is corrupt ({error}): decoding the images again", file=sys.stderr)
    arrays = _decode(root, classes, files, size, grayscale)
    try:
        _write(folder, arrays)
    except OSError as error:
        print(f"initdist: dataset.cache cannot keep {folder} ({error}): it will be decoded again", file=sys.stderr)
    return arrays


def _decode(root: Path, classes: Sequence[str], files: Sequence[Path], size: int, grayscale: bool) -> Arrays:
    images = [_image(path, size, grayscale) for path in _with_progress(files, root)]
    channels = 1 if all(image.ndim == 2 for image in images) else 3
    shapes = {image.shape[:2]: path for image, path in zip(images, files, strict=True)}
    if len(shapes) > 1:
        (one, first), (two, second) = list(shapes.items())[:2]
        raise DatasetError(
            f"images must have one size, got {one[1]}x{one[0]} in {first} and {two[1]}x{two[0]} in {second}; "
            f"dataset.image_size=32 resizes them all to 32x32"
        )
    stacked = np.stack([_channels(image, channels) for image in images])
    parts = [path.relative_to(root).parts for path in files]
    labels = np.array([classes.index(name) for _, name, *_ in parts], dtype=np.int64)
    train = np.array([split == "train" for split, *_ in parts])
    return Arrays(stacked[train], labels[train], stacked[~train], labels[~train], scale=255.0)


def _image(path: Path, size: int, grayscale: bool) -> np.ndarray:
    """uint8 [height, width] of a gray image, [height, width, 3] of any other."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.load()
            image = _eight_bits(opened)
            converted = image.convert("L" if grayscale or image.mode in GRAY else "RGB")
            if size:
                converted = converted.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(converted)
    except Exception as error:  # Pillow has no common base for what can be wrong with a file
        raise DatasetError(f"image {path} cannot be read: {error}; replace it or take it out of the tree") from error


def has_sixteen_bits(file: BinaryIO) -> bool:
    """Whether this is a gray image of 16 bits, by its head. False for what is no image: decoding it says so."""
    from PIL import Image

    head = file.read(26)
    if head[1:4] == b"PNG" or head[:2] == b"\xff\xd8":  # most files, which need not be opened for it
        return head[1:4] == b"PNG" and head[24:26] == b"\x10\x00"
    file.seek(0)
    try:
        return _of_sixteen_bits(Image.open(file))
    except Exception:  # Pillow has no common base for what can be wrong with a file
        return False


def _of_sixteen_bits(image: Image.Image) -> bool:
    """PNG and PGM have no integers of 32 bits: Pillow, by its version, reads their 16 bits into some."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits by the nearest of 256 levels, where Pillow's own conversion makes nearly all of it white."""
    from PIL import Image

    if image.mode in ("La", "RGBa"):  # the only way out of these
        return image.convert(image.mode.upper())
    if _of_sixteen_bits(image):
        return Image.fromarray(((np.asarray(image).astype(np.int64) + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"its mode is {image.mode}, 32-bit numbers of no agreed range; save it with 8 or 16 bits")
    return image


def _channels(image: np.ndarray, channels: int) -> np.ndarray:
    """[channels, height, width]; a gray image among colored ones has three equal channels."""
    if image.ndim == 2:
        return np.repeat(image[None], channels, axis=0)
    return image.transpose(2, 0, 1)


def _with_progress(files: Sequence[Path], root: Path) -> Any:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        return track(files, f"decoding {root}", console=Console(stderr=True))
    return _with_lines(files, root)


def _with_lines(files: Sequence[Path], root: Path) -> Any:
    for done, file in enumerate(files):
        if done and done % EVERY == 0:
            print(f"decoding {root}: {done} of {len(files)} images", file=sys.stderr, flush=True)
        yield file


_PARTS = ("train_inputs", "train_labels", "test_inputs", "test_labels")
_DIGESTS = "digests.json"
_SCRATCH = ".decoding-"
_FILES = {_DIGESTS, *(f"{part}.npy" for part in _PARTS)}


def caches(base: Path) -> list[Path]:
    """Folders in `base` that this module made and nothing else: by name, and by name and kind of all they hold."""
    entries = [entry for entry in sorted(base.glob("*")) if entry.is_dir() and not entry.is_symlink()]
    return [entry for entry in entries if _is_cache(entry) or _is_scratch(entry)]


def _is_cache(folder: Path) -> bool:
    return bool(re.fullmatch("images-[0-9a-f]{64}", folder.name)) and _names(folder) <= _FILES


def _is_scratch(folder: Path) -> bool:
    """What a process left that was killed while it wrote."""
    ours = {str(folder / name) for name in ("cache", "corrupt")}
    inside = _names(folder) if folder.name.startswith(_SCRATCH) else {"another's"}
    return inside <= ours and all(_names(Path(one)) <= _FILES for one in inside)


def _names(folder: Path) -> set[str]:
    """Of what a folder holds, its path for what is no file; of one that cannot be read, a name that is not ours."""
    try:
        return {entry.name if stat.S_ISREG(entry.lstat().st_mode) else str(entry) for entry in folder.iterdir()}
    except OSError:
        return {"unreadable"}


def _write(folder: Path, arrays: Arrays) -> None:
    """Write beside and rename, so that a reader finds a whole cache or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_SCRATCH) as scratch:
        inside = Path(scratch) / "cache"
        inside.mkdir()
        digests = {}
        for part in _PARTS:
            file = inside / f"{part}.npy"
            np.save(file, getattr(arrays, part), allow_pickle=False)
            digests[part] = hashlib.sha256(file.read_bytes()).hexdigest()
        (inside / _DIGESTS).write_text(json.dumps(digests))
        if folder.exists():
            os.replace(folder, Path(scratch) / "corrupt")
        try:
            os.replace(inside, folder)
        except OSError:  # another process was first: its cache is as good
            if not folder.is_dir():
                raise


def _read(folder: Path) -> Arrays:
    digests = json.loads((folder / _DIGESTS).read_text())
    loaded = []
    for part in _PARTS:
        file = folder / f"{part}.npy"
        if hashlib.sha256(file.read_bytes()).hexdigest() != digests[part]:
            raise ValueError(f"the checksum of {file.name} differs")
        loaded.append(np.load(file, allow_pickle=False))
    return Arrays(loaded[0], loaded[1], loaded[2], loaded[3], scale=255.0)
