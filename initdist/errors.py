"""Errors that a user can mend. Their text is shown without a traceback: name the key, the rule and the value."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class UserError(ValueError):
    """Base of every error whose message is meant for the person at the command line."""


class ConfigError(UserError):
    """A config value breaks a rule."""


class DatasetError(UserError):
    """A dataset is missing, incomplete or not what it should be."""


class NotDownloaded(DatasetError):
    """A dataset could be downloaded, and was not to be."""


class DeviceError(UserError):
    """A device was asked for that is not there."""


class StorageError(UserError):
    """A disk takes nothing more. What is there already stays, and the same command goes on from it."""

    @classmethod
    def of(cls, place: object, error: OSError) -> StorageError:
        why = error.strerror or str(error)
        return cls(
            f"{place} cannot be written to: {why}. Nothing that is there is lost: the same command goes on from it"
        )


def nearest(name: str, options: Sequence[str]) -> str:
    """`; did you mean mlp?`, or nothing."""
    near = difflib.get_close_matches(name, options, n=1)
    return f"; did you mean {near[0]}?" if near else ""
