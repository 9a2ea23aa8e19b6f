"""Measures of trained networks: name -> function of a whole stack. A new measure is one decorated function."""

from initdist.measures import core as core  # noqa: PLC0414  (importing registers its measures)
from initdist.measures.registry import REGISTRY, Measure, compute, expand
from initdist.measures.subject import Subject

__all__ = ["REGISTRY", "Measure", "Subject", "compute", "expand"]
