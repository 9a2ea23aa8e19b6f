"""Losses of one sample, one file each."""

from initdist.config.families import Family
from initdist.stacks.losses._base import Loss, LossMember

__all__ = ["LOSSES", "Loss", "LossMember"]

LOSSES = Family("losses", "loss.name", LossMember)
