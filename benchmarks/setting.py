"""Networks for the benchmarks, without a command line: synthetic data of MNIST's shape, configs, stacks.

Needs torch and numpy alone. Where omegaconf is missing, of which initdist's schema uses one constant, that is supplied.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
try:
    import omegaconf  # noqa: F401
except ImportError:
    sys.modules["omegaconf"] = ModuleType("omegaconf")
    sys.modules["omegaconf"].MISSING = "???"  # type: ignore[attr-defined]

from initdist.config import families, schema
from initdist.data.datasets import Arrays, Description
from initdist.models import cnn, mlp

SHAPE, CLASSES, POOL, TEST = (1, 28, 28), 10, 8192, 1000


def _dataset() -> ModuleType:
    module = ModuleType("synthetic")

    def describe(config: object) -> Description:
        return Description("synthetic", "synthetic/1", "benchmarks", SHAPE, CLASSES, POOL, TEST)

    def load(config: object) -> Arrays:
        random = np.random.default_rng(0)
        centres = random.random((CLASSES, *SHAPE))
        labels = random.integers(0, CLASSES, POOL + TEST)
        inputs = (0.5 * centres[labels] + 0.5 * random.random((POOL + TEST, *SHAPE))).astype(np.float32)
        return Arrays(inputs[:POOL], labels[:POOL], inputs[POOL:], labels[POOL:], scale=1.0)

    module.describe, module.load = describe, load  # type: ignore[attr-defined]
    return module


families.found("datasets")["synthetic"] = _dataset()


def config(model: str, width: int, seed: int, compiled: bool = False) -> schema.Config:
    """A network that never stops by itself: its rate is too small to come near a threshold."""
    models = {"mlp": mlp.Config(width=width, depth=2), "cnn": cnn.Config(width=width, depth=2)}
    return schema.Config(
        model=models[model],
        dataset=schema.DatasetConfig(name="synthetic", train_size=1024),
        noise=schema.NoiseConfig(name="labels", level=0.0),
        loss=schema.LossConfig(name="cross_entropy"),
        optimizer=schema.OptimizerConfig(name="sgd", lr=1e-6, batch_size=64),
        stop=schema.StopConfig(train_loss=0.0, max_epochs=10**6),
        seed=seed,
        seeds=schema.SeedsConfig(seed, seed, seed, seed),
        numerics=schema.NumericsConfig(compile=compiled),
        history=0,
    )
