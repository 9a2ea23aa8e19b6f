"""What an analysis takes, from the command to the files: python benchmarks/analysis.py --networks 1000,10000.

Each size is a generated store with 60 measures a network. `cold` is the first whole command; `again` the same command
with nothing new in the store; `start` is --help.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import generated_store
from machine import machine

LIMITS = {1_000: 15.0, 10_000: 60.0, 20_000: 60.0}  # seconds that a cold report may take on two cores
AGAIN = 5.0
UNEVEN = 20_000  # networks: from there on, 2,000 are seeds of one configuration
HEAD = "| networks | cold, s | limit, s | again, s | limit, s |\n|---|---|---|---|---|"


def seconds(*arguments: str) -> float:
    """Wall time of one analysis command; raises if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "multirun_analysis", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def measure(networks: int) -> dict[str, float | int]:
    """One size, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        uneven = {"seeds": 20, "most": 2000} if networks >= UNEVEN else {}
        uri = generated_store.make(Path(folder) / "store", networks, **uneven)
        arguments = (f"tracking.uri={uri}", f"out={folder}/reports")
        cold = seconds(*arguments)
        return {"networks": networks, "cold": cold, "again": seconds(*arguments)}


def line(row: dict[str, float | int]) -> str:
    limit = LIMITS.get(int(row["networks"]))
    return f"| {row['networks']:,} | {row['cold']:.1f} | {limit or '-'} | {row['again']:.1f} | {AGAIN} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="1000,10000,20000", help="sizes, separated by commas")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    start = seconds("--help")
    print(f"start: {start:.2f} s\n{HEAD}")
    rows = []
    for networks in map(int, chosen.networks.split(",")):
        rows.append(measure(networks))
        print(line(rows[-1]), flush=True)
    if chosen.json:
        found = {"machine": machine("cpu"), "start": start, "rows": rows}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
