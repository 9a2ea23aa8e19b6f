"""How a network's arithmetic is done: its precision, and whether its steps are compiled."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from initdist.schema import NumericsConfig

Function = Callable[..., tuple[Tensor, ...]]


def prepare(numerics: NumericsConfig) -> None:
    """Let this process's CUDA matrix products and convolutions round their inputs to TF32, or not."""
    rounded = numerics.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = rounded
    torch.backends.cudnn.allow_tf32 = rounded  # PyTorch's default is True


@contextmanager
def float32() -> Iterator[None]:
    """CUDA matrix products and convolutions in full float32 for a while."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    prepare(NumericsConfig())
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def bfloat16(device: torch.device) -> torch.autocast:
    """The products of a forward pass, and so of its backward pass, in bfloat16."""
    # The cache of converted weights would outlive a recording that is made under it.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def compiled(function: Function) -> Function:
    """The same function as machine code for the shapes of its first call: fused, so rounded differently."""
    import torch._inductor.config as inductor

    warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)  # numerics.precision decides that
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime is found" on every CPU
    inductor.compile_threads = 1  # a training process is one of several already, and may not have children
    fast: Any = torch.compile(function, dynamic=False, fullgraph=True)
    return fast
