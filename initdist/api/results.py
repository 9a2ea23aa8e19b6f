"""What training a network from Python gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initdist import names
from initdist.config import identity
from initdist.config.schema import Config

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class NetworkResult:
    """One trained network. `metrics` and `history` have MLflow's metric names; those of a diverged one may be NaN."""

    config: Config
    identity: str
    stop_reason: str  # threshold, margin, error, max_epochs or diverged
    metrics: Mapping[str, float]
    history: Sequence[tuple[int, Mapping[str, float]]]  # (gradient step, values) before the final ones
    parameters: Mapping[str, Tensor]  # trained, on the CPU
    correct: np.ndarray | None = None  # [T] which samples of the clean test set are right; None where it diverged
    run_id: str = ""  # of its run, where it is tracked

    def __repr__(self) -> str:
        """One line: parameters and histories would fill a screen."""
        shown = (names.DISTANCE, names.TRAIN_ERROR, names.TEST_ERROR)
        values = ", ".join(f"{name}={self.metrics[name]:.4g}" for name in shown if name in self.metrics)
        return f"NetworkResult({identity.run_name(self.config)!r}, {self.stop_reason}, {values})"


def unpacked(bits: bytes, size: int) -> np.ndarray | None:
    import numpy as np

    return np.unpackbits(np.frombuffer(bits, np.uint8))[:size].astype(bool) if bits else None
