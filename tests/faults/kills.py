"""Kill a sweep over and over, let the same command end it, and count in the store what became of its networks.

    python -m tests.faults.kills --kills 200 --seed 0

Each kill is a `kill -9` of the command itself or of one of its training processes, in a phase that is drawn first and
then waited for a while, as seen from outside; it counts for the phase that it met. Once the sweep is complete, or after
enough kills, the same command runs to its end, and the store must hold what an undisturbed sweep holds, value by value.
Then comes a fresh store, until all kills are spent. Draws come from the seed; what a process does meanwhile is its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initdist import names
from initdist.sweeps import leases, outbox
from tests.command import by_identity, client, in_process, kept, runs, start, train, with_store

GRID = (
    "-m",
    "optimizer=sgd,momentum,adam",
    "model.width=8,16",
    "seed=range(0,10)",
    "noise.level=0,0.5",
)  # 120 networks in 6 jobs
EACH = (
    "model.depth=1",
    "dataset.train_size=96",
    "optimizer.batch_size=8",
    "stop.train_loss=0",
    "stop.max_epochs=60",
    "history=3",
    "device=cpu",
    "workers=2",
    "checkpoint.every_minutes=0.004",
)
# As seen from outside: before the sweep is opened; before a network trains; while networks train and are measured, with
# nothing of them ready; trained, measured, and with the weights on the disk; ready and on the way into the store; a
# job's or the sweep's end.
PHASES = ("composing", "starting", "training", "handing over", "logging", "closing")
PATIENCE = 4.0  # seconds for the drawn phase to come; then whatever is there is killed


@dataclass
class Tally:
    """What a whole run of kills came to."""

    networks: int = 0
    lost: int = 0
    twice: int = 0
    incomplete: int = 0  # FINISHED, but not with every value of the undisturbed sweep
    left: int = 0  # files in checkpoint.dir, and runs still RUNNING, after the last command
    sweeps: int = 0
    commands: int = 0
    phases: Counter[tuple[str, str]] = field(default_factory=Counter)  # (phase, command | training process)
    recovery: list[float] = field(default_factory=list)  # seconds from a command's start after a kill to its networks
    last: list[float] = field(default_factory=list)  # seconds of the last, undisturbed command of each sweep

    @property
    def kills(self) -> int:
        return sum(self.phases.values())

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.incomplete or self.left)


class Command:
    """One start of the sweep, watched from outside."""

    def __init__(self, folder: Path, overrides: Sequence[str]) -> None:
        self.folder, self.begun = folder, time.monotonic()
        self.first: float | None = None  # seconds until its first network was leased
        self.process = start(folder, *overrides)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            self.lines.extend(iter(printed.readline, ""))

    def phase(self) -> str:
        """What the command is doing, by what it has printed and what lies on the disk."""
        printed = "".join(self.lines)
        if "to train" not in printed:
            return "composing"
        if ": training " not in printed:
            return "starting"
        if self.first is None:
            self.first = time.monotonic() - self.begun
        found = {file.name: file for file in kept(self.folder, "*")}
        if outbox.FILE in found:
            return "logging"
        if names.WEIGHTS_FILE in found:
            return "handing over"
        return "training" if leases.FILE in found and self._owns(found[leases.FILE]) else "closing"

    def _owns(self, lease: Path) -> bool:
        with contextlib.suppress(OSError):
            return f":{self.process.pid}:" in lease.read_text()
        return False

    def wait_for(self, phase: str) -> bool:
        """Until it comes to this phase, or should have; whether it still runs. Its start is waited out."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            now = self.phase()
            if now == phase:
                return True
            if now in ("composing", "starting"):
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                return True
            time.sleep(0.002)
        return False

    def workers(self) -> list[int]:
        """Its training processes: children of the process that forks them."""
        below = _children(self.process.pid)
        return sorted(pid for child in below for pid in _children(child) if "forkserver" in _command_line(pid))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        if pid == self.process.pid:
            self.process.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def kill_until_done(folder: Path, overrides: Sequence[str], draws: random.Random, kills: int, tally: Tally) -> None:
    """Start and kill the sweep until so many kills are spent or it is complete, then let it end. Fills the tally."""
    end, after_kill = tally.kills + kills, False
    while tally.kills < end:
        command = Command(folder, overrides)
        tally.commands += 1
        while tally.kills < end and command.process.poll() is None:
            phase, target = draws.choice(PHASES), draws.choices(("command", "training process"), (1, 3))[0]
            if not command.wait_for(phase):
                break
            time.sleep(draws.random() * (1.5 if phase == "composing" else 0.5 if phase == "training" else 0.01))
            workers, now = command.workers(), command.phase()
            if command.process.poll() is not None:
                break
            if target == "command" or not workers:
                tally.phases[now, "command"] += 1
                command.kill(command.process.pid)
            else:
                tally.phases[now, "training process"] += 1
                command.kill(draws.choice(workers))
        code = command.process.poll()
        if command.first is not None and after_kill:
            tally.recovery.append(command.first)
        after_kill = code is None or code < 0
        if code == 0:
            break
        if code is None:  # the last kill was of a training process: the command ends by itself
            command.process.wait()
    begun = time.monotonic()
    done = train(folder, *overrides, check=False)
    tally.commands += 1
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    tally.last.append(time.monotonic() - begun)


def check(folder: Path, expected: dict[str, dict[str, Any]], tally: Tally) -> None:
    """Compare a store with what it should hold, and count into the tally."""
    finished = Counter(one.data.tags[names.IDENTITY] for one in runs(folder) if one.info.status == "FINISHED")
    tally.sweeps += 1
    tally.networks += len(expected)
    tally.lost += len(expected.keys() - finished.keys())
    tally.twice += sum(count > 1 for count in finished.values())
    held = values(folder)
    tally.incomplete += sum(held[one] != expected[one] for one in held.keys() & expected.keys())
    tally.left += len(kept(folder, "*"))
    tally.left += sum(one.info.status == "RUNNING" for kind in ("network", "sweep") for one in runs(folder, kind))


def values(folder: Path) -> dict[str, dict[str, Any]]:
    """Identity -> final metrics, points of the histories, why it stopped and which files its run has."""
    store = client(folder)
    found = {}
    for identity, run in by_identity(folder).items():
        points = store.get_metric_history(run.info.run_id, names.DISTANCE)
        found[identity] = {
            "metrics": dict(run.data.metrics),
            "history": sorted((point.step, point.value) for point in points),
            "stop": run.data.tags[names.STOP_REASON],
            "files": [file.path for file in store.list_artifacts(run.info.run_id)],
        }
    return found


def spend(folder: Path, kills: int, seed: int, overrides: Sequence[str], most: int) -> Tally:
    """All kills, at most so many a sweep."""
    draws, tally = random.Random(seed), Tally()
    (folder / "whole").mkdir()
    in_process(with_store(folder / "whole"), *overrides)
    expected = values(folder / "whole")
    while tally.kills < kills:
        one = folder / f"sweep{tally.sweeps}"
        one.mkdir()
        kill_until_done(one, overrides, draws, min(most, kills - tally.kills), tally)
        check(one, expected, tally)
        print(report(tally, seed), flush=True)
    return tally


def report(tally: Tally, seed: int) -> str:
    recovery = sorted(tally.recovery) or [float("nan")]
    parts = [
        f"seed {seed}: {tally.kills} kills in {tally.sweeps} sweeps of {tally.networks} networks, "
        f"{tally.commands} commands",
        f"lost {tally.lost}, finished twice {tally.twice}, finished but incomplete {tally.incomplete}, "
        f"left behind {tally.left}",
        f"seconds from the next command's start to its first network: median {recovery[len(recovery) // 2]:.1f}, "
        f"longest {recovery[-1]:.1f}; of the last command: {', '.join(f'{one:.0f}' for one in tally.last)}",
        "| phase | kills of the command | of a training process |",
        "|---|---|---|",
        *(f"| {p} | {tally.phases[p, 'command']} | {tally.phases[p, 'training process']} |" for p in PHASES),
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.faults.kills", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of phases, targets and delays (%(default)s)")
    parser.add_argument("--a-sweep", type=int, default=25, help="kills until a sweep may end (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the counts there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="initdist-faults-") as folder:
        tally = spend(Path(folder), chosen.kills, chosen.seed, (*GRID, *EACH), chosen.a_sweep)
    if chosen.json:
        plain = {name: getattr(tally, name) for name in tally.__dataclass_fields__ if name != "phases"}
        phases = [[*key, count] for key, count in sorted(tally.phases.items())]
        chosen.json.write_text(json.dumps({"seed": chosen.seed, "kills": tally.kills, **plain, "phases": phases}))
    sys.exit(not tally.good)


if __name__ == "__main__":
    try:
        main()
    except subprocess.SubprocessError as error:
        sys.exit(str(error))
