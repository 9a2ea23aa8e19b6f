"""Distance from initialization and generalization: train stacks of networks, measure them, track them."""

from typing import TYPE_CHECKING, Any

from initdist import _moved, cores
from initdist.provenance import VERSION as __version__

if TYPE_CHECKING:
    from initdist.api import (
        NetworkResult,
        load_data,
        load_network,
        measure_runs,
        network_configs,
        results_frame,
        train_networks,
    )

_moved.install()
cores.settle_products()  # before torch computes anything

__all__ = [
    "NetworkResult",
    "__version__",
    "load_data",
    "load_network",
    "measure_runs",
    "network_configs",
    "results_frame",
    "train_networks",
]


def __getattr__(name: str) -> Any:
    """The Python interface, imported when it is first used: the command line starts without it."""
    if name in __all__:
        from initdist import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
