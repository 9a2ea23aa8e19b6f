"""Which test samples each network gets right, compared network by network."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import pandas as pd

from multirun_analysis.runs.read import TEST_CORRECT
from multirun_analysis.stats.design import Design
from multirun_analysis.stats.ranks.sign_errors import Environments, mcnemar_certainty, seed_pairs

OTHER_TEST_SET = ("dataset.name",)  # axes whose levels have other test sets
CHUNK = 4_096


def paired_on_test_set(frame: pd.DataFrame, found: Environments, design: Design) -> tuple[np.ndarray, np.ndarray] | str:
    """sign and weight [E, S*S] of the difference in test error over each environment's seed pairs.

    Networks without bits, or with test sets of different length or dataset, have weight 0. A text: why there is none.
    """
    if TEST_CORRECT not in frame or frame[TEST_CORRECT].isna().all():
        return "the networks' correctness on the test samples is not recorded"
    packed, length = unpack(frame)
    first, second, present = seed_pairs(found)
    sign, weight = np.zeros(first.shape), np.zeros(first.shape)
    other = [design.axes.index(axis) for axis in OTHER_TEST_SET if axis in design.axes]
    use = present & (length[first] == length[second]) & (length[first] > 0) & ~np.isin(found.axis, other)[:, None]
    a, b = first[use], second[use]
    only_a, only_b = np.empty(len(a)), np.empty(len(a))
    for start in range(0, len(a), CHUNK):
        part = slice(start, start + CHUNK)
        right_a, right_b = packed[a[part]], packed[b[part]]
        only_a[part] = np.bitwise_count(right_a & ~right_b).sum(axis=1)
        only_b[part] = np.bitwise_count(right_b & ~right_a).sum(axis=1)
    sign[use] = np.sign(only_b - only_a)  # the test error of the first is larger where the second alone is right
    weight[use] = mcnemar_certainty(only_a, only_b)
    return sign, weight


def unpack(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """packed [networks, bytes] and length [networks] in bytes, 0 where there are no readable bits.

    Padding bits are 0 for every network, so they never differ.
    """
    arrays = [_bytes(value) for value in frame[TEST_CORRECT]]
    length = np.array([len(item) for item in arrays])
    packed = np.zeros((len(arrays), int(length.max(initial=0))), dtype=np.uint8)
    for row, item in zip(packed, arrays, strict=True):
        row[: len(item)] = item
    return packed, length


def _bytes(value: object) -> np.ndarray:
    """From base64 of numpy.packbits, or the packed array itself."""
    if isinstance(value, np.ndarray):
        return value.astype(np.uint8)
    if not isinstance(value, str):
        return np.empty(0, dtype=np.uint8)
    try:
        return np.frombuffer(base64.b64decode(value, validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError):
        return np.empty(0, dtype=np.uint8)
