"""Sweeps on a real SLURM, PostgreSQL, MLflow server and Ray, all on this machine, each disturbed in the middle.

    python -m tests.engines [slurm] [postgres] [server] [ray] [--folder DIR]

An engine that cannot be started here is skipped, with the reason. Lost, doubled and silent must be 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.engines import postgres, ray_launcher, slurm
from tests.engines.sweeps import OFTEN, Row, Sweep, values

ENGINES = {  # name -> why it cannot be here, and its rows
    "slurm": (slurm.obstacle, slurm.rows),
    "postgres": (postgres.obstacle, partial(postgres.rows, "PostgreSQL")),
    "server": (postgres.obstacle, partial(postgres.rows, "MLflow server")),
    "ray": (ray_launcher.obstacle, ray_launcher.rows),
}
COLUMNS = ("engine", "what", "networks", "lost", "doubled", "silent", "commands", "seconds", "note")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("engines", nargs="*", help=f"of {', '.join(ENGINES)}; all where none is named")
    parser.add_argument("--folder", type=Path, help="to look at afterwards; else a temporary one")
    parser.add_argument("--only", help="disturbances, as the table names them: kill,outage")
    parser.add_argument("--epochs", type=int, default=Sweep.epochs, help="of each network; fewer on a busy machine")
    chosen = parser.parse_args()
    Sweep.epochs = chosen.epochs
    if unknown := sorted({*chosen.engines} - {*ENGINES}):
        parser.error(f"engines must be of {', '.join(ENGINES)}, got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="initdist-engines-") as temporary:
        folder = (chosen.folder or Path(temporary)).resolve()
        obstacles = {name: ENGINES[name][0]() for name in chosen.engines or ENGINES}
        for name, why in obstacles.items():
            if why:
                print(f"{name} is skipped: {why}", flush=True)
        undisturbed = Sweep(folder / "undisturbed", OFTEN)
        if undisturbed.start().wait() or not (expected := values(undisturbed)):
            sys.exit(f"the undisturbed sweep failed:\n{undisturbed.log()}")
        rows: list[Row] = []
        print("|", " | ".join(COLUMNS), "|")
        print("|", " | ".join("---" for _ in COLUMNS), "|", flush=True)
        for name, why in obstacles.items():
            for row in () if why else ENGINES[name][1](folder, expected, chosen.only.split(",") if chosen.only else ()):
                rows.append(row)
                cells = [getattr(row, column) for column in COLUMNS]
                print("|", " | ".join(f"{c:.0f}" if isinstance(c, float) else str(c) for c in cells), "|", flush=True)
    sys.exit(not all(row.good for row in rows))


if __name__ == "__main__":
    main()
