"""Constraints, one file each: interventions on how far a network is from its initialization, or from the origin.

The config is checked against these by processes that never train: a file imports torch inside its functions alone.
"""

from __future__ import annotations

from initdist.config.families import Family
from initdist.stacks.constraints._base import INIT, ORIGIN, Constraint

__all__ = ["CONSTRAINTS", "INIT", "ORIGIN", "Constraint"]

CONSTRAINTS = Family("constraints", "constraint.name", Constraint)
