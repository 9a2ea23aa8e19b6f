"""Noise in the data: of labels, and of the pixels of images."""
