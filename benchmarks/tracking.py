"""What MLflow's writes of one network cost, without any training: a run with params, metrics, history and weights.

python benchmarks/tracking.py --networks 200
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from initdist import tracking


def seconds_per_network(networks: int, weights: int = 100_000) -> float:
    """Wall time of the writer for networks with a usual record and weights of so many bytes."""
    params = {f"section.key_{i}": i for i in range(36)}
    metrics = {f"measure_{i}": i / 7 for i in range(45)}
    history = [(step, {f"measure_{i}": i + step / 3 for i in range(7)}) for step in range(25)]
    datasets = [tracking.DatasetInfo(f"digits-{part}", "digits/1", "benchmark", part) for part in ("train", "test")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        file.write_bytes(bytes(weights))
        store = tracking.prepare(f"sqlite:///{folder}/mlflow.db", "benchmark")
        with tracking.Writer(store, None, None) as writer:  # imports and first statements are not counted
            writer.start(-1, tracking.NetworkFacts("-", "warm", params, {}, datasets))
            writer.finish(-1, tracking.Outcome(metrics, history, 99, {}, []))
        started = time.perf_counter()
        with tracking.Writer(store, None, None) as writer:
            for i in range(networks):
                writer.start(i, tracking.NetworkFacts(f"{i:064x}", f"network {i}", params, {"a": "b"}, datasets))
                writer.finish(i, tracking.Outcome(metrics, history, 99, {"c": "d"}, [file]))
        return (time.perf_counter() - started) / networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=200)
    chosen = parser.parse_args()
    print(f"{1e3 * seconds_per_network(chosen.networks):.1f} ms a network")


if __name__ == "__main__":
    main()
