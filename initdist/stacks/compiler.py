"""PyTorch's compiler, imported where it is used and not where a derivative is taken."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

NAME = "torch._dynamo"


class _Absent(ModuleType):
    """In the compiler's place until something of it is used. `torch.func` only asks it to stay away, which it does."""

    compiled_autograd = SimpleNamespace(_disable=nullcontext)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(NAME), name)


def postpone() -> None:
    """For a process of its own: to import the compiler takes as long as to import the rest of PyTorch."""
    if "_dynamo" not in vars(torch):
        torch._dynamo = _Absent(NAME)
