"""digits: 1,797 real 8x8 images of handwritten digits that ship with scikit-learn, so nothing is downloaded.

The package orders them by writer; one fixed permutation makes training pool and test set alike.
"""

import numpy as np

from initdist import rng
from initdist.datasets import Arrays, Description
from initdist.schema import DatasetConfig

_POOL, _TEST = 1280, 517


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
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = rng.stream(0, "digits/split").permutation(_POOL + _TEST)
    inputs = bunch.images[order, None].astype(np.uint8)
    labels = bunch.target[order].astype(np.int64)
    return Arrays(inputs[:_POOL], labels[:_POOL], inputs[_POOL:], labels[_POOL:], scale=16.0)
