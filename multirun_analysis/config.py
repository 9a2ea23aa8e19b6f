"""The analysis' settings and their schema."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from initdist import names
from multirun_analysis.errors import AnalysisError
from multirun_analysis.store import masked

TARGETS = (names.GAP, names.GAP_NOISY, names.TEST_ERROR)


@dataclass
class Tracking:
    """uri None: the SQLite store in the directory of the call."""

    uri: str | None = None
    experiment: str = "initdist"


@dataclass
class AnalysisConfig:
    """target: the metric that the distance is to explain. sweep: an id, or None for the whole experiment."""

    tracking: Tracking = field(default_factory=Tracking)
    sweep: str | None = None
    target: str = names.GAP
    out: str = "reports"


def register() -> None:
    """Makes the schema known to Hydra, so that a typo in a key is refused."""
    ConfigStore.instance().store(name="analysis_schema", node=AnalysisConfig)


def validate(config: AnalysisConfig) -> None:
    """Raises AnalysisError that names the key, the rule and the value."""
    if config.target not in TARGETS:
        raise AnalysisError(f"target must be one of {', '.join(TARGETS)}, got {config.target!r}")
    for key, value in (("out", config.out), ("tracking.experiment", config.tracking.experiment)):
        if not value:
            raise AnalysisError(f"{key} must not be empty")


def command(config: AnalysisConfig, uri: str) -> str:
    """The shell line that makes the same analysis from anywhere; a password in the URI is masked."""
    values = {
        "tracking.uri": masked(uri),
        "tracking.experiment": config.tracking.experiment,
        "sweep": config.sweep,
        "target": config.target,
        "out": config.out,
    }
    overrides = [f"{key}={_quoted(value)}" for key, value in values.items() if value is not None]
    return shlex.join(["python", "-m", "multirun_analysis", *overrides])


def _quoted(value: str) -> str:
    """A value that Hydra's override grammar could read as anything else, in Hydra's quotes."""
    if re.fullmatch(r"[A-Za-z./][\w./:@%+-]*", value) and value.lower() not in {"null", "true", "false", "inf", "nan"}:
        return value
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"
