"""Where the files of a network are until the tracking store has them: a folder of its own under `checkpoint.dir`."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from initdist import names, retry, tracking
from initdist.errors import ConfigError
from initdist.events import ToTrain
from initdist.paths import SQLITE, sqlite_file
from initdist.sweeps import outbox
from initdist.sweeps.leases import Leases
from initdist.sweeps.planning import Network


@dataclass(frozen=True)
class Workspace:
    """The folders of the networks of a store's experiment, named by their identities."""

    base: Path

    @staticmethod
    def of(directory: str, store: tracking.Store) -> Workspace:
        """That of a store, in a `checkpoint.dir`. Both may be moved together, or be called otherwise on another host:
        a store of SQLite is named by its place as seen from there."""
        base, file = Path(directory).resolve(), sqlite_file(store.uri)  # whatever its options are
        place = store.place if file is None else f"{SQLITE}{file}"
        before = base / _short(f"{place}\n{store.experiment}")  # as earlier versions named it
        if file is None or before.is_dir():
            return Workspace(before)
        return Workspace(base / _short(f"{os.path.relpath(file.resolve(), base)}\n{store.experiment}"))

    @property
    def leases(self) -> Leases:
        """Which process trains which network."""
        return Leases(self.base)

    def folder(self, identity: str) -> Path:
        """Where the files of a network are."""
        return self.base / identity

    def folders(self) -> Iterator[Path]:
        """Those of all networks that have one."""
        return (folder for folder in self.base.glob("*/") if re.fullmatch("[0-9a-f]{64}", folder.name))

    def unwritten(self) -> Iterator[Path]:
        """Those of networks that are trained but not in the store yet."""
        return (file.parent for file in self.base.glob(f"*/{outbox.FILE}"))

    def to_train(self, network: Network) -> ToTrain:
        """A network with the files that its config asks for."""
        folder, config = self.folder(network.identity), network.config
        weights = str(folder / names.WEIGHTS_FILE) if config.tracking.save_weights else ""
        checkpoint = str(folder / names.CHECKPOINT_FILE) if config.checkpoint.every_minutes else ""
        return ToTrain(network.identity, config, weights, checkpoint)

    def kept(self, identity: str) -> tracking.Outcome | None:
        """What a network ended with, where the store does not have it yet."""
        return outbox.find(self.folder(identity))

    def keep(self, identity: str, outcome: tracking.Outcome, patience: float) -> None:
        """Write down what a network ended with. Waits so many seconds for a disk that is full."""
        folder = self.folder(identity)
        retry.stored(partial(outbox.keep, folder, outcome), patience, folder)

    def forget(self, identity: str) -> None:
        """Remove all that is kept of a network but its lease."""
        outbox.forget(self.folder(identity))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def check_folder(key: str, folder: str) -> None:
    """Raises ConfigError if nothing can be kept in the folder that a key of the config names."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{key} must be a folder that can be written to, got {folder}: {error.strerror}") from None
