"""Measures of trained networks: functions of a whole stack, each decorated, in any file of this package.

A Subject comes in (the trained stack, its initial one, the data); this room knows the stacks and the catalogue, and
nothing of how networks are trained. It offers `measure`, the decorator of a new measure, the REGISTRY, and `compute`.
"""

from initdist.config import registry
from initdist.measures._registry import REGISTRY, Measure, Values, compute, expand, measure, options, with_total
from initdist.measures._subject import Subject

__all__ = ["REGISTRY", "Measure", "Subject", "Values", "compute", "expand", "measure", "options", "with_total"]

registry.modules(__name__)
