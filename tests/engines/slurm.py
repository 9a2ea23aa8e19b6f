"""A SLURM of one node on this machine, as root: real queues, signals, preemption and requeues; it keeps no accounts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from initdist import cores
from tests.command import wait_for
from tests.engines.sweeps import OFTEN, RARELY, Row, Sweep, analysis, disturbed

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONFIG = """\
ClusterName=initdist
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ReturnToService=2
KillWait=30
MinJobAge=10
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes={host} PriorityTier=10
"""


class Slurm:
    """The cluster, with all its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("state", "spool"):
            (folder / part).mkdir(parents=True)
        host, ports = socket.gethostname(), [_port(), _port()]
        self.config = folder / "slurm.conf"
        self.config.write_text(CONFIG.format(host=host, ports=ports, folder=folder, cpus=cores.usable()))
        self.variables = {"SLURM_CONF": str(self.config)}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Raises RuntimeError if the node does not come up."""
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            subprocess.run(["munged"], check=True, user="munge", group="munge")
        self.start("slurmctld")
        self.start("slurmd")
        deadline = time.monotonic() + 60
        while "idle" not in self.run("sinfo", "-h", "-p", "low", "-o", "%t"):
            if time.monotonic() > deadline:
                raise RuntimeError("its node does not come up: " + self.run("sinfo", "-R"))
            time.sleep(1)

    def start(self, daemon: str) -> None:
        with (self.folder / f"{daemon}.out").open("a") as log:
            command = [daemon, "-D", "-f", str(self.config)]
            self.daemons[daemon] = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.variables)

    def stop(self, daemon: str, number: int = signal.SIGTERM) -> None:
        self.daemons[daemon].send_signal(number)
        self.daemons.pop(daemon).wait()

    def down(self) -> None:
        self.run("scancel", "-u", "root")
        for daemon in list(self.daemons):
            self.stop(daemon, signal.SIGKILL)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        return done.stdout.decode()

    def running(self) -> list[str]:
        """The jobs that run: array tasks by their own numbers."""
        return self.run("squeue", "-h", "-t", "RUNNING", "-o", "%i").split()


def obstacle() -> str:
    """Why there can be no SLURM here; empty where there can."""
    if os.geteuid():
        return "starting a SLURM takes root"
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    return f"no {', '.join(lacking)}: apt-get install slurm-wlm munge" if lacking else ""


def rows(folder: Path, expected: Mapping[str, Mapping[str, float]], only: Collection[str] = ()) -> Iterator[Row]:
    """Each disturbance in a folder of its own."""
    slurm = Slurm(folder / "slurm")
    slurm.up()
    launcher = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=low", "hydra.launcher.cpus_per_task=1")
    launcher += ("hydra.launcher.timeout_min=15", "hydra.launcher.max_num_timeout=3")

    def queued_again(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        jobs = slurm.running()
        slurm.run("scontrol", "requeue", ",".join(jobs))
        return f"scontrol requeue of {len(jobs)} jobs"

    def warned(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        jobs = slurm.running()
        slurm.run("scancel", "--signal=USR2", *jobs)
        return f"SIGUSR2 to {len(jobs)} jobs"

    def preempted(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        whole = ("--partition=high", f"--cpus-per-task={cores.usable()}", "--output=/dev/null")
        jobs = slurm.running()
        slurm.run("sbatch", *whole, "--wrap=sleep 5")
        return f"of {len(jobs)} jobs, by another partition's"

    def killed(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        jobs = sweep.jobs()
        for job in jobs:
            os.kill(job, signal.SIGKILL)
        _cancelled(slurm, process)
        return f"kill -9 of {len(jobs)} jobs"

    def without_control(sweep: Sweep, process: subprocess.Popen[str]) -> str:
        slurm.stop("slurmctld", signal.SIGKILL)
        time.sleep(10)
        slurm.start("slurmctld")
        return "slurmctld killed, back after 10 s"

    disturbances = {
        "sweep": (),
        "kill": (killed,),
        "requeue": (queued_again,),
        "warning": (warned,),
        "preemption": (preempted,),
        "outage": (without_control,),
    }
    try:
        for what, disturb in disturbances.items():
            if only and what not in only:
                continue
            often = OFTEN if what in ("sweep", "kill", "outage") else RARELY
            sweep = Sweep(folder / f"slurm {what}", (*launcher, *often), slurm.variables)
            yield disturbed("SLURM", what, sweep, expected, *disturb)
            if what == "sweep":
                yield analysis("SLURM", sweep, expected)
    finally:
        slurm.down()


def _cancelled(slurm: Slurm, process: subprocess.Popen[str]) -> None:
    """Without accounts submitit waits for a job that was killed until it is told to end."""
    wait_for(lambda: not slurm.run("squeue", "-h").strip())
    time.sleep(5)
    if process.poll() is None:
        process.terminate()


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
