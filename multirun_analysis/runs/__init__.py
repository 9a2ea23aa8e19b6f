"""The networks of an MLflow experiment: read, filtered, and each that is left out with its reason.

A store comes in as a URI. This room imports names, errors and labels only, and never a statistic.
It offers `read` (the networks as a frame), `where` (filters) and `exclusions` (which networks may be used).
"""
