"""Losses of one sample, one file each.

They are held against their base by processes that never train: a file imports torch inside its functions alone.
"""

from initdist.config.families import Family
from initdist.stacks.losses._base import Loss, LossMember

__all__ = ["LOSSES", "Loss", "LossMember"]

LOSSES = Family("losses", "loss.name", LossMember)
