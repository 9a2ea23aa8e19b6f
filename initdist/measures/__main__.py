"""`python -m initdist.measures`: write the catalogue of measures from the registry."""

from initdist.measures._catalogue import catalogue
from initdist.paths import measure_catalogue

measure_catalogue().write_text(catalogue(), encoding="utf-8")
