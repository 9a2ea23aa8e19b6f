"""The files of MNIST and of what comes in its form, read without torchvision, whose import takes seconds."""

import gzip
import math
from pathlib import Path

import numpy as np

TYPE = 8  # unsigned bytes


def read_split(folder: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images [M, height, width] and labels [M] of one split, unsigned bytes. Raises ValueError, OSError."""
    prefix = "train" if train else "t10k"
    images = read(folder / f"{prefix}-images-idx3-ubyte", 3)
    labels = read(folder / f"{prefix}-labels-idx1-ubyte", 1)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels")
    return images, labels


def at(file: Path) -> Path:
    """The file, or where there is only one compressed with gzip under its name and `.gz`, that one."""
    compressed = file.with_name(f"{file.name}.gz")
    return compressed if compressed.is_file() and not file.is_file() else file


def _content(file: Path) -> np.ndarray:
    found = at(file)
    if found == file:
        return np.fromfile(file, np.uint8)
    with gzip.open(found) as opened:
        return np.frombuffer(bytearray(opened.read()), np.uint8)  # of a bytearray, since PyTorch wants to write


def read(file: Path, dimensions: int) -> np.ndarray:
    """An IDX file, plain or compressed: two zeros, the type, the number of dimensions, the sizes in four bytes each,
    the values."""
    content = _content(file)
    head = 4 + 4 * dimensions
    shape = tuple(content[4:head].view(">u4").tolist()) if len(content) >= head else ()
    if content[:4].tolist() != [0, 0, TYPE, dimensions] or len(content) != head + math.prod(shape):
        raise ValueError(f"{file.name} is no IDX file of {dimensions} dimensions and whole")
    return content[head:].reshape(shape)
