"""Going on in halves where the networks of a stack do not fit into memory together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

# The allocator for the CPU; CUDA itself, as in a graph; the workspaces of cuBLAS, cuDNN, cuSOLVER.
EXHAUSTED = ("can't allocate memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")


def exhausted(error: Exception) -> bool:
    """Whether a smaller stack may go through. What others than PyTorch's CUDA allocator say is a RuntimeError."""
    causes: list[BaseException] = [error]
    while (before := causes[-1].__cause__ or causes[-1].__context__) is not None and before not in causes:
        causes.append(before)  # a capture that runs out of memory may end in another error
    return any(
        isinstance(one, (torch.OutOfMemoryError, MemoryError)) or any(words in str(one) for words in EXHAUSTED)
        for one in causes
    )


def in_halves(work: Callable[[list[int]], list[T]], positions: list[int]) -> list[T]:
    """What `work` gives for networks at these positions: for all at once, or in halves where they do not fit."""
    try:
        return work(positions)
    except Exception as error:
        if not exhausted(error) or len(positions) == 1:
            raise
    if torch.cuda.is_available():  # only here, where the error no longer holds on to its tensors
        torch.cuda.empty_cache()
    middle = len(positions) // 2
    return [*in_halves(work, positions[:middle]), *in_halves(work, positions[middle:])]
