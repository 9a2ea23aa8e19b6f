"""Optimizers, one file each: the update rule of a stacked parameter, and the fields of the config that it reads.

The config is checked against these by processes that never train: a file imports torch inside its functions alone.
"""

from __future__ import annotations

from initdist.config.families import Family
from initdist.stacks.optimizers._base import Update, UpdateRule

__all__ = ["OPTIMIZERS", "Update", "UpdateRule"]

OPTIMIZERS = Family("optimizers", "optimizer.name", UpdateRule)
