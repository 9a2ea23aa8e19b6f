"""Measures of trained networks: functions of a whole stack, each decorated, in any file of this package.

MeasureInputs come in (a trained stack, its initial one, the data); this room knows the stacks and the catalogue, and
nothing of how networks are trained. It offers `measure`, the decorator of a new measure, the REGISTRY, and `compute`.
"""

from initdist.config.families import Family
from initdist.measures._base import MeasureFile
from initdist.measures._inputs import MeasureInputs
from initdist.measures._measure import REGISTRY, Measure, Values, compute, expand, measure, options, with_total

__all__ = [
    "MEASURES",
    "REGISTRY",
    "Measure",
    "MeasureInputs",
    "Values",
    "compute",
    "expand",
    "measure",
    "options",
    "with_total",
]

MEASURES = Family("measures", "measures.names", MeasureFile)
MEASURES.sound()  # imports the files, whose measures register themselves, and those of other packages
