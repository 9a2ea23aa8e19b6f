"""Which network a config describes: the leaves that affect its result, their hash, and a short name for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from initdist import names
from initdist.config.schema import RESULT_SECTIONS, Config
from initdist.config.validation import leaves

# Bump when a change of code alters the results of an unchanged config. See CONTRIBUTING.md.
NUMERICS_VERSION = 2
ABBREVIATED = {"batch_size": "b", "momentum": "m", "weight_decay": "wd"}  # in names for people


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


def run_name(config: Config, more: Sequence[str] = ()) -> str:
    """Short name for people: `mlp w64 n1280 p0.5 s3`, or `linearized mlp w64 ...`, and `init_ball of_free=0.8` after it
    where there is a constraint. more: what else tells it from others."""
    model = f"linearized {config.model.name}" if config.model.linearize else config.model.name
    own = config.constraint
    given = {"of_free": own.of_free, "radius": None if own.of_free else own.radius, "decay": own.decay}
    constraint = [] if own.name == "none" else [own.name, *(f"{k}={v:g}" for k, v in given.items() if v is not None)]
    data = f"n{config.dataset.train_size} p{config.noise.level:g}"
    return " ".join([model, f"w{config.model.width}", data, *more, f"s{config.seed}", *constraint])


def run_names(configs: Sequence[Config]) -> list[str]:
    """Names of networks that one command asks for: what varies among them is in each, as in `mlp w64 n1280 p0 adam
    lr0.01 s3`."""
    leaves = [result_leaves(config) for config in configs]
    values: dict[str, set[str]] = {}
    for one in leaves:
        for key, value in one.items():
            values.setdefault(key, set()).add(str(value))
    hidden = {"model.name", "model.width", "model.linearize", "dataset.train_size", "noise.level"}
    streams = {key for key in values if key.startswith("seeds.")}
    if all(one[key] == config.seed for one, config in zip(leaves, configs, strict=True) for key in streams):
        hidden |= streams
    varied = [
        key
        for key, found in values.items()
        if key not in hidden
        and not key.startswith("constraint.")
        and (len(found) > 1 or any(key not in one for one in leaves))
    ]
    return [
        run_name(config, [_piece(key, one[key]) for key in varied if one.get(key) is not None])
        for config, one in zip(configs, leaves, strict=True)
    ]


def _piece(key: str, value: Any) -> str:
    """`lr0.01`, `adam`, `depth3`, `balanced`, `init7` for a seed of its own."""
    leaf = key.rpartition(".")[2]
    if leaf == "name" or isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return leaf if value else f"no_{leaf}"
    return f"{ABBREVIATED.get(leaf, leaf)}{value:g}" if isinstance(value, int | float) else f"{leaf}{value}"
