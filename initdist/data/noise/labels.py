"""Label noise: which training labels are replaced, and what that means for an error rate."""

import numpy as np

from initdist import rng


def redraw(labels: np.ndarray, classes: int, level: float, seed: int) -> np.ndarray:
    """Redraw each label independently with probability `level`, uniformly over all classes (so it may come back).

    The draw of a sample depends on (seed, sample index) alone: the labels redrawn at a lower level are a subset of
    those redrawn at a higher one, with the same new values. labels [M] of the whole training pool; returns [M].
    """
    stream = rng.stream(seed, rng.NOISE)
    chosen = stream.random(len(labels)) < level
    return np.where(chosen, stream.integers(0, classes, len(labels)), labels)


def error(clean: float, level: float, classes: int) -> float:
    """Expected error against labels under the redraw process, of a classifier with this error against clean labels.

    (1 - p) e + p (1 - 1/C), exactly: a redrawn label agrees with any fixed prediction with probability 1/C.
    """
    return (1 - level) * clean + level * (1 - 1 / classes)
