"""digits: 1,797 real 8x8 images of handwritten digits that ship with scikit-learn, so nothing is downloaded.

The package orders them by writer; one fixed permutation makes training pool and test set alike.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from initdist import rng
from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description

_POOL, _TEST = 1280, 517
_FILE = "datasets/data/digits.csv.gz"  # in scikit-learn; of each image its 64 pixels and its label


def describe(config: DatasetConfig) -> Description:
    return Description(
        name="digits",
        fingerprint="digits/1",
        source="sklearn.datasets.load_digits",
        input_shape=(1, 8, 8),
        classes=10,
        pool=_POOL,
        test_size=_TEST,
        fewest=117,
    )


def load(config: DatasetConfig) -> Arrays:
    order = rng.stream(0, "digits/split").permutation(_POOL + _TEST)
    table = _table()[order]
    inputs = table[:, :-1].reshape(-1, 1, 8, 8).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    return Arrays(inputs[:_POOL], labels[:_POOL], inputs[_POOL:], labels[_POOL:], scale=16.0)


def _table() -> np.ndarray:
    """[1797, 65]. From the file itself: to import scikit-learn takes seconds, in every training process."""
    package = find_spec("sklearn")
    file = Path(package.origin).parent / _FILE if package is not None and package.origin else None
    if file is not None and file.exists():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
