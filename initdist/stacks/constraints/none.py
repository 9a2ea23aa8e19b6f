"""Training is left alone."""

CENTRE = None
