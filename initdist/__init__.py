"""Distance from initialization and generalization: train stacks of networks, measure them, track them."""

__version__ = "0.1.0"
