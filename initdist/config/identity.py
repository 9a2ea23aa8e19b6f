"""Which network a config describes: the leaves that affect its result, their hash, and a short name for people."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from initdist import names
from initdist.config.schema import RESULT_SECTIONS, Config
from initdist.config.validation import leaves

# Bump when a change of code alters the results of an unchanged config. See CONTRIBUTING.md.
NUMERICS_VERSION = 2


def result_leaves(config: Config) -> dict[str, Any]:
    """Every leaf that affects the result, dotted key -> value."""
    return _leaves(config, "identity")


def params(config: Config) -> dict[str, Any]:
    """What a network's run shows as params: its result-affecting leaves, and what some of them come from."""
    return {**_leaves(config, "shown"), names.SEED: config.seed}


def _leaves(config: Config, where: str) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section in RESULT_SECTIONS
        for key, value, metadata in leaves(getattr(config, section))
        if metadata.get(where, True)
    }


def identity(config: Config, fingerprint: str) -> str:
    """SHA-256 of the canonical JSON of the result-affecting config, the data's fingerprint and the numerics version.

    A leaf equal to its declared neutral value is left out, so that fields can be added without touching old runs.
    """
    neutral = {
        f"{section}.{key}": metadata["neutral"]
        for section in RESULT_SECTIONS
        for key, _, metadata in leaves(getattr(config, section))
        if "neutral" in metadata
    }
    hashed = {k: v for k, v in result_leaves(config).items() if not (k in neutral and v == neutral[k])}
    document = {"numerics": NUMERICS_VERSION, "data": fingerprint, **hashed}
    document = {k: v + 0.0 if isinstance(v, float) else v for k, v in document.items()}  # -0.0 is 0.0
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_name(config: Config) -> str:
    """Short name for people: `mlp w64 n1280 p0.5 s3`, or `linearized mlp w64 ...`, and `init_ball of_free=0.8` after it
    where there is a constraint."""
    model = f"linearized {config.model.name}" if config.model.linearize else config.model.name
    name = f"{model} w{config.model.width} n{config.dataset.train_size} p{config.noise.level:g} s{config.seed}"
    own = config.constraint
    if own.name == "none":
        return name
    given = {"of_free": own.of_free, "radius": None if own.of_free else own.radius, "decay": own.decay}
    return " ".join([name, own.name, *(f"{key}={value:g}" for key, value in given.items() if value is not None)])
