"""Weights as files: one network's trained parameters, and whether they and the initial ones are what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from initdist import names
from initdist.errors import UserError
from initdist.files import replaced
from initdist.stacks.stack import Parameters


def theta_hash(parameters: Parameters) -> str:
    """SHA-256 of parameters: names, shapes and float32 bytes in order."""
    digest = hashlib.sha256()
    for name, p in parameters.items():
        digest.update(f"{name}{tuple(p.shape)}".encode())
        digest.update(p.contiguous().numpy().tobytes())
    return digest.hexdigest()


def save(parameters: Parameters, theta0: str, file: Path) -> None:
    """Write a file; it is there whole or not at all."""
    from safetensors.torch import save as in_bytes

    with replaced(file) as beside:
        # One entry only: safetensors writes several in any order, and equal networks shall give equal files.
        beside.write_bytes(in_bytes(parameters, metadata={names.THETA0: theta0}))


def load(file: Path, shapes: Mapping[str, Sequence[int]]) -> Parameters:
    """The parameters in a file, on the CPU. Raises UserError for a file that is corrupt or holds other parameters than
    float32 ones of these shapes."""
    from safetensors.torch import load_file

    try:
        loaded: Parameters = load_file(file)
    except OSError as error:
        raise UserError(f"{names.WEIGHTS_FILE} cannot be read: {error}") from error
    except Exception as error:  # safetensors has no common base for what can be wrong with a file
        raise UserError(f"{names.WEIGHTS_FILE} is corrupt: {error}") from error
    for name in [*shapes, *loaded]:
        should = f"{list(shapes[name])} of float32" if name in shapes else "nothing"
        found = f"{list(loaded[name].shape)} of {str(loaded[name].dtype)[6:]}" if name in loaded else "nothing"
        if found != should:
            raise UserError(f"its weights do not match its config: {name} must be {should}, got {found}")
    return {name: loaded[name] for name in shapes}


def check_start(drawn: Parameters, theta0: str) -> None:
    """Raises UserError unless parameters drawn here are those that a network began with, by their hash."""
    if theta_hash(drawn) != theta0:
        raise UserError(f"the initial parameters drawn here, by numpy {np.__version__}, are not those of the run")
