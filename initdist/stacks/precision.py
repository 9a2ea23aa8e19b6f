"""How a network's arithmetic is done: its precision, and whether its steps are compiled."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from initdist.config.schema import NumericsConfig

Function = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Precision:
    """rounded: whether products on CUDA may round their inputs to TF32. autocast: the type of products, where lower."""

    rounded: bool = False
    autocast: torch.dtype | None = None


PRECISIONS: dict[str, Precision] = {
    "float32": Precision(),
    "tf32": Precision(rounded=True),
    "bfloat16": Precision(autocast=torch.bfloat16),
}


def prepare(numerics: NumericsConfig) -> None:
    """Let this process's CUDA matrix products and convolutions round their inputs to TF32, or not."""
    rounded = PRECISIONS[numerics.precision].rounded
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


def lowered(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The products of a forward pass, and so of its backward pass, in a type such as bfloat16."""
    # The cache of converted weights would outlive a recording that is made under it.
    return torch.autocast(device.type, dtype, cache_enabled=False)


def compiled(function: Function) -> Function:
    """The same function as machine code for the shapes of its first call: fused, so rounded differently."""
    import torch._inductor.config as inductor

    warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)  # numerics.precision decides that
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # "No CUDA runtime is found" on every CPU
    inductor.compile_threads = 1  # a training process is one of several already, and may not have children
    fast: Any = torch.compile(function, dynamic=False, fullgraph=True)
    return fast
