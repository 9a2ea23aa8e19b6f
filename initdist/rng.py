"""One seed -> independent named random streams.

Every draw of a network comes from a stream keyed by (seed, name, counters), never from global state, so that a
network's randomness depends neither on its neighbours in a stack nor on what was drawn before. Streams are numpy's
counter-based Philox generator, keyed with 128 bits of SHA-256, and are drawn on the CPU for every device.
"""

import hashlib

import numpy as np

INITIALIZATION = "initialization"
SUBSET = "subset"
NOISE = "noise"
ORDER = "order"
OFFSET = "offset"  # of the start from theta_0
PERTURBATION = "perturbation"  # of trained parameters, by measures
PROBE = "probe"  # of curvature, by measures
CAPACITY = "capacity"  # random signs against which a ball's functions are set, by measures
ASCENT = "ascent"  # where the search for the best of them begins

_WORD = (1 << 64) - 1
_shared = np.random.Generator(np.random.Philox(key=0))


def stream(seed: int, name: str, *counters: int) -> np.random.Generator:
    """Generator of the stream `name` of `seed`; counters (an epoch, a sample index) select independent sub-streams."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_key(seed, name, *counters), "little")))


def _key(seed: int, name: str, *counters: int) -> bytes:
    return hashlib.sha256(":".join([name, str(seed), *map(str, counters)]).encode()).digest()[:16]


def _drawing(seed: int, name: str, *counters: int) -> np.random.Generator:
    """As `stream`, for one draw at once: it is always the same generator. To make one takes as long as an order."""
    key = int.from_bytes(_key(seed, name, *counters), "little")
    _shared.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"counter": np.zeros(4, np.uint64), "key": np.array([key & _WORD, key >> 64], np.uint64)},
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return _shared


def subset(seed: int, pool: int, size: int) -> np.ndarray:
    """[size] indices into the training pool: a prefix of one seeded permutation, so nested over `size`."""
    return stream(seed, SUBSET).permutation(pool)[:size]


def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """[size] order in which an epoch visits the training samples; a function of (seed, epoch) alone."""
    return _drawing(seed, ORDER, epoch).permutation(size)


def balanced_subset(seed: int, labels: np.ndarray, size: int) -> np.ndarray:
    """[size] indices with class counts that differ by at most one: each class's own seeded permutation, dealt in turn.

    Nested over `size`. labels [M] of the pool. Raises ValueError if a class has too few samples.
    """
    classes = np.unique(labels)
    parts = [
        np.flatnonzero(labels == c)[stream(seed, SUBSET, int(c)).permutation((labels == c).sum())] for c in classes
    ]
    rounds = -(-size // len(classes))
    if (fewest := min(map(len, parts))) < rounds:
        raise ValueError(f"{rounds} samples of every class are needed, the smallest has {fewest}")
    return np.stack([part[:rounds] for part in parts], axis=1).flatten()[:size]
