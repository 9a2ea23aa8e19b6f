"""What MLflow's writes of one network cost, without any training: a run with params, metrics, history and weights.

python benchmarks/tracking.py --networks 200
python benchmarks/tracking.py --uri postgresql://user@host/base   # a store that is there, in place of a new file
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from initdist import tracking


class Seconds(NamedTuple):
    """Of the writer, for one network."""

    wall: float
    cpu: float


def per_network(networks: int, uri: str | None = None, weights: int = 100_000) -> Seconds:
    """What the writer takes for networks with a usual record and weights of so many bytes."""
    params = {f"section.key_{i}": i for i in range(36)}
    metrics = {f"measure_{i}": i / 7 for i in range(45)}
    history = [(step, {f"measure_{i}": i + step / 3 for i in range(7)}) for step in range(25)]
    datasets = [tracking.DatasetInfo(f"digits-{part}", "digits/1", "benchmark", part) for part in ("train", "test")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        file.write_bytes(bytes(weights))
        store = tracking.prepare(uri or f"sqlite:///{folder}/mlflow.db", "benchmark")
        with tracking.Writer(store, None, None) as writer:  # imports and first statements are not counted
            writer.start(-1, tracking.NetworkFacts("-", "warm", params, {}, datasets))
            writer.finish(-1, tracking.Outcome(metrics, history, 99, {}, []))
        started, used = time.perf_counter(), time.process_time()
        with tracking.Writer(store, None, None) as writer:
            for i in range(networks):
                writer.start(i, tracking.NetworkFacts(f"{i:064x}", f"network {i}", params, {"a": "b"}, datasets))
                writer.finish(i, tracking.Outcome(metrics, history, 99, {"c": "d"}, [file]))
        return Seconds((time.perf_counter() - started) / networks, (time.process_time() - used) / networks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--uri", help="a store that is there; else a new SQLite file")
    chosen = parser.parse_args()
    wall, cpu = per_network(chosen.networks, chosen.uri)
    print(f"{1e3 * wall:.1f} ms a network, {1e3 * cpu:.1f} ms of them on the processor")


if __name__ == "__main__":
    main()
