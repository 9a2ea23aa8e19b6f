"""initdist from Python: what the commands do, as functions.

Overrides, configs and the ids of runs come in; this room may import every other but the commands. It offers
`network_configs`, `train_networks` (a NetworkResult each), `results_frame`, `measure_runs`, `load_network` and
`load_data`, which `initdist` itself shows too.
"""

from initdist.api.frames import results_frame
from initdist.api.loading import load_data, load_network
from initdist.api.networks import measure_runs, network_configs, train_networks
from initdist.api.results import NetworkResult

__all__ = [
    "NetworkResult",
    "load_data",
    "load_network",
    "measure_runs",
    "network_configs",
    "results_frame",
    "train_networks",
]
