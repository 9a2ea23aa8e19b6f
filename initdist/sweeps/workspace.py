"""Where the files of a network are until the tracking store has them: a folder of its own under `checkpoint.dir`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from initdist import names, tracking
from initdist.config.schema import Config
from initdist.errors import ConfigError
from initdist.sweeps.planning import Network


def folder(directory: str, store: tracking.Store) -> Path:
    """Where in `checkpoint.dir` the networks of this store have their folders until they are in it."""
    own = hashlib.sha256(f"{store.uri}\n{store.experiment}".encode()).hexdigest()[:12]
    return Path(directory).resolve() / own


def check_folder(config: Config) -> None:
    """Raises ConfigError if nothing can be kept there."""
    wanted = Path(config.checkpoint.dir)
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            pass
    except OSError as error:
        raise ConfigError(
            f"checkpoint.dir must be a folder that can be written to, got {config.checkpoint.dir}: {error.strerror}"
        ) from None


def weight_files(networks: Sequence[Network], base: Path) -> list[str]:
    """Where the weights of each network are written before they become an artifact; empty if none are kept."""
    if not networks[0].config.tracking.save_weights:
        return []
    return [str(base / one.identity / names.WEIGHTS_FILE) for one in networks]


def checkpoints(networks: Sequence[Network], base: Path) -> list[str]:
    """Where each network is written down while it trains; empty if it is not."""
    if not networks[0].config.checkpoint.every_minutes:
        return []
    return [str(base / one.identity / names.CHECKPOINT_FILE) for one in networks]
