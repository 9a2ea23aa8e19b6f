"""Networks in the middle of their training, on disk: all that their further training depends on.

There is no random state to keep: the order of an epoch and all noise are functions of the seeds. One safetensors file a
network, written beside its place and moved there, with a checksum of everything in it. A file that was cut off, changed
or written by another PyTorch is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from initdist.files import replaced
from initdist.stacks.stack import Parameters

_STATE, _CHECKSUM = "initdist.state", "initdist.checksum"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the text names the file and says why."""


@dataclass(frozen=True)
class State:
    """One network after an epoch, on the CPU. `record` holds what was gathered about it: plain JSON values."""

    epoch: int
    parameters: Parameters
    optimizer: dict[str, Tensor]
    waiting: tuple[float, ...]  # loss levels not yet crossed
    record: dict[str, Any] = field(default_factory=dict)


def save(file: Path, identity: str, state: State) -> None:
    """Write a state in place of an earlier one; it is there whole or not at all."""
    from safetensors.torch import save

    parts = {"parameters": state.parameters, "optimizer": state.optimizer}
    tensors = {f"{part}/{name}": t.contiguous() for part, values in parts.items() for name, t in values.items()}
    plain = {"epoch": state.epoch, "waiting": state.waiting, "record": state.record}
    text = json.dumps(plain | {"identity": identity, "torch": torch.__version__})
    with replaced(file) as beside, beside.open("wb") as written:
        written.write(save(tensors, metadata={_STATE: text, _CHECKSUM: _checksum(text, tensors)}))
        written.flush()
        os.fsync(written.fileno())


def load(file: Path, identity: str) -> State | None:
    """The state in a file; None where there is no file. Raises CheckpointError for one that cannot be used."""
    from safetensors import safe_open

    if not file.exists():
        return None
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors has no common base for what can be wrong with a file
        raise CheckpointError(f"checkpoint {file} cannot be read: {error}") from None
    text = metadata.get(_STATE, "")
    if metadata.get(_CHECKSUM) != _checksum(text, tensors):
        raise CheckpointError(f"checkpoint {file} is damaged: its checksum is not that of its contents")
    plain = json.loads(text)
    for name, wanted in (("identity", identity), ("torch", torch.__version__)):
        if (found := plain.pop(name)) != wanted:
            raise CheckpointError(f"checkpoint {file} is of another {name}: {found} instead of {wanted}")
    parts: dict[str, dict[str, Tensor]] = {"parameters": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
    where = plain["epoch"], parts["parameters"], parts["optimizer"], tuple(plain["waiting"]), plain["record"]
    return State(*where)


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
