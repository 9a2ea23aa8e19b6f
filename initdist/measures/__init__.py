"""Measures of trained networks: name -> function of a whole stack. A new measure is one decorated function in any file
of this package."""

from initdist.config import registry
from initdist.measures._registry import REGISTRY, Measure, Values, compute, expand, measure, options, with_total
from initdist.measures._subject import Subject

__all__ = ["REGISTRY", "Measure", "Subject", "Values", "compute", "expand", "measure", "options", "with_total"]

registry.modules(__name__)
